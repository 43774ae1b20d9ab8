package replicatest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// A caller that tries PINs, with however many keys and on whichever replica, gets two of them to inWebo, and the account is not
// blocked: the right PIN is good again as soon as an operator unlocks it.
func TestBruteForce(t *testing.T) {
	count := either(100, 10_000)
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			guarded := settings{"PIN_GUARD_ATTEMPTS": "2", "PIN_GUARD_PAUSE": "0s"}
			w := newHarness(t, f.store(t), guarded, inwebosim.DefaultKnobs())
			account := w.enroll(1)[0]
			processes := w.starts(f.processes)
			keys := []string{w.newKey(), w.newKey(), w.newKey(), w.newKey()}
			var mu sync.Mutex
			told := map[string]int{}
			together(count, func(caller, item int) {
				a := w.make(processes[caller%f.processes], call{
					account: account, key: keys[caller/f.processes%len(keys)], pin: fmt.Sprintf("%05d", item),
				})
				mu.Lock()
				defer mu.Unlock()
				told[fmt.Sprintf("HTTP %d, code %d", a.status, a.code)]++
			})
			if expected := w.expected(account); expected.Setups != 2 || expected.WrongProofs != 2 || expected.Blocked {
				t.Errorf("inWebo has seen %+v, blocked %t", expected.Counters, expected.Blocked)
			}
			if told["HTTP 403, code 2308"] != 2 || told["HTTP 423, code 2308"] != count-2 {
				t.Errorf("%d guesses were told %v", count, told)
			}
			if a := w.ask(processes[0], account); a.code != 2308 || a.status != 423 {
				t.Errorf("the right PIN is told %v before it is unlocked", a)
			}
			if err := w.core.OTP.Unlock(t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"}); err != nil {
				t.Fatal(err)
			}
			w.wantOTP(processes[f.processes-1], account)
		})
	}
}
