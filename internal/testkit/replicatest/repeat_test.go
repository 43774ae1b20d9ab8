package replicatest_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// Many posts with one key make one OTP at inWebo. All others get the same bytes, or are told that it is under way.
func TestManyPostsWithOneKey(t *testing.T) {
	count := either(200, 1000)
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			w := newHarness(t, f.store(t), nil, inwebosim.DefaultKnobs())
			account := w.enroll(1)[0]
			processes := w.starts(f.processes)
			var mu sync.Mutex
			first, bodies, underWay := answer{}, map[string]int{}, 0
			together(count, func(caller, _ int) {
				a := w.make(processes[caller%f.processes], call{account: account, repeat: "one and the same"})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case a.status == http.StatusConflict && a.code == 2005:
					underWay++
				case a.status == http.StatusOK:
					bodies[a.body]++
					first = a
				default:
					t.Errorf("told %v (%d)", a, a.status)
				}
			})
			again := w.make(processes[0], call{account: account, repeat: "one and the same"})
			if len(bodies) != 1 || again.body != first.body || !again.replayed {
				t.Errorf("the answers are %v, and then %q (replayed: %t)", bodies, again.body, again.replayed)
			}
			if expected := w.expected(account); expected.Issued != 1 || expected.Setups != 1 || !w.verifies(account, again) {
				t.Errorf("inWebo has seen %+v", expected.Counters)
			}
			t.Logf("of %d posts, %d got the OTP and %d were told that it is under way", count, count-underWay, underWay)
		})
	}
}

// Who tries PINs against a kept answer learns that the first is another, and nothing of those that follow.
func TestPINsAgainstAKeptAnswer(t *testing.T) {
	count := either(300, 10_000)
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			w := newHarness(t, f.store(t), nil, inwebosim.DefaultKnobs())
			account := w.enroll(1)[0]
			processes := w.starts(f.processes)
			kept := call{account: account, repeat: "kept"}
			if a := w.make(processes[0], kept); a.otp == "" {
				t.Fatalf("told %v", a)
			}
			var mu sync.Mutex
			told := map[string]int{}
			together(count, func(caller, item int) {
				guess := kept
				guess.pin = fmt.Sprintf("%04d", item)
				if guess.pin == pin {
					guess.pin = "99999"
				}
				a := w.make(processes[caller%f.processes], guess)
				mu.Lock()
				defer mu.Unlock()
				told[fmt.Sprintf("HTTP %d, code %d", a.status, a.code)]++
			})
			other, spent := told["HTTP 422, code 2102"], told["HTTP 409, code 2005"]
			if other < 1 || other > f.processes || other+spent != count {
				t.Errorf("%d guesses were told %v", count, told)
			}
			if a := w.make(processes[0], kept); a.status != http.StatusConflict || a.code != 2005 {
				t.Errorf("then the right PIN is told %v", a)
			}
			if expected := w.expected(account); expected.Setups != 1 {
				t.Errorf("inWebo has seen %+v", expected.Counters)
			}
		})
	}
}

// A process that dies after the commit and before its caller has the answer: the retry gets it from the next one.
func TestCrashBeforeTheAnswer(t *testing.T) {
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			w := newHarness(t, f.store(t), nil, inwebosim.DefaultKnobs())
			account := w.enroll(1)[0]
			p := w.start()
			deaf := w.send(p, call{account: account, repeat: "crash"})
			w.untilSettled(account)
			p.kill()
			if err := deaf.Close(); err != nil {
				t.Error(err)
			}

			next := w.start()
			a := w.make(next, call{account: account, repeat: "crash"})
			if !a.replayed || !w.verifies(account, a) {
				t.Errorf("the retry is told %v (%s)", a, a.body)
			}
			if b := w.make(next, call{account: account, repeat: "crash"}); b.body != a.body {
				t.Errorf("the next retry is told %s, and the first was %s", b.body, a.body)
			}
			if expected := w.expected(account); expected.Issued != 1 {
				t.Errorf("inWebo has seen %+v", expected.Counters)
			}
		})
	}
}

// send makes the call and does not read its answer.
func (w *harness) send(p *process, c call) net.Conn {
	w.t.Helper()
	req, err := w.request(p, c)
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.api)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// untilSettled waits until the store has the outcome of the account's OTP.
func (w *harness) untilSettled(account string) {
	w.t.Helper()
	until(w.t, "an OTP of "+account+" is settled", func() bool {
		lines, err := w.core.Store.AuditAfter(w.t.Context(), 0, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		return slices.ContainsFunc(lines, func(line otp.AuditRecord) bool {
			return line.Account == otp.Account(account) && line.Action == "otp" && line.Outcome == "done"
		})
	})
}
