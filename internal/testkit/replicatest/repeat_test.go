package replicatest_test

import (
	"net"
	"slices"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

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
