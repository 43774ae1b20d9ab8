package replicatest_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// Over many devices, no caller waits for another's: while inWebo lets one conversation wait, those of all other devices go
// through; and as many conversations as there are callers are under way at the same moment.
func TestNoCallerWaitsForAnotherDevice(t *testing.T) {
	count := either(callers+36, 1000)
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			w := newHarness(t, f.store(t), settings{"CONVERSATION_DEADLINE": "5m", "INWEBO_EXCHANGE_TIMEOUT": "2m"}, inwebosim.DefaultKnobs())
			accounts := w.enroll(count)
			processes := w.starts(f.processes)

			held, others := accounts[0], accounts[1:]
			caught := w.catch(before, actionSetup, held)
			var waiting sync.WaitGroup
			waiting.Go(func() { w.wantOTP(processes[0], held) })
			<-caught.reached
			together(len(others), func(caller, item int) { w.wantOTP(processes[caller%f.processes], others[item]) })
			caught.release()
			waiting.Wait()

			w.assemble(callers)
			together(callers, func(caller, item int) { w.wantOTP(processes[caller%f.processes], accounts[item]) })
			if sum := w.inwebo.Totals(); sum.Overlaps != 0 || sum.WrongProofs != 0 || int(sum.Verified) != count+callers {
				t.Errorf("inWebo has seen %+v", sum)
			}
		})
	}
}

// assemble makes inWebo process the next n finalizes when all of them are there.
func (w *harness) assemble(n int64) {
	var arrived atomic.Int64
	all := make(chan struct{})
	w.inwebo.SetHooks(inwebosim.Hooks{Before: func(x inwebosim.Exchange) {
		if x.Action != actionFinalize {
			return
		}
		if arrived.Add(1) == n {
			close(all)
		}
		<-all
	}})
}
