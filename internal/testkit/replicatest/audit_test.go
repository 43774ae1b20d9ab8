package replicatest_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// Who reads the audit log in a loop, each time from behind the last line seen, as `pimsd audit list --after` does, reads all
// of it once and in order, however many write it meanwhile, strangers among them.
func TestTheAuditLogIsFollowed(t *testing.T) {
	count := either(200, 10_000)
	for _, f := range fields() {
		t.Run(f.name, func(t *testing.T) {
			noLeaks(t)
			w := newHarness(t, f.store(t), nil, inwebosim.DefaultKnobs())
			accounts := w.enroll(callers)
			processes := w.starts(f.processes)
			written, followed := make(chan struct{}), make(chan []otp.AuditRecord)
			go func() { followed <- w.follow(written) }()
			together(count, func(caller, item int) {
				p := processes[caller%f.processes]
				w.wantOTP(p, accounts[caller])
				if item%8 == 0 {
					if a := w.make(p, call{account: accounts[caller], key: "stranger"}); a.status != http.StatusUnauthorized {
						t.Errorf("a stranger is told %v", a)
					}
				}
			})
			for _, p := range processes {
				p.terminate() // which stores the last lines of strangers
			}
			close(written)
			lines := <-followed

			if all := w.auditAfter(0, 1<<30); !slices.Equal(lines, all) {
				t.Errorf("who followed the audit log has read %d lines, and it has %d", len(lines), len(all))
			}
			told := map[string]int{}
			for _, line := range lines {
				told[line.Action+" "+string(line.Stage)+" "+line.Outcome]++
			}
			if told["otp attempt "] != count || told["otp outcome done"] != count || told["otp outcome unauthenticated"] == 0 {
				t.Errorf("%d OTPs, and the audit log has %v", count, told)
			}
		})
	}
}

// follow reads the audit log, a few lines at a time, until nothing is left of what was written.
func (w *harness) follow(written <-chan struct{}) (lines []otp.AuditRecord) {
	var last int64
	for done := false; ; {
		more := w.auditAfter(last, 20)
		if len(more) > 0 {
			lines, last = append(lines, more...), more[len(more)-1].ID
			continue
		}
		if done {
			return lines
		}
		select {
		case <-written:
			done = true
		default:
		}
	}
}

func (w *harness) auditAfter(id int64, limit int) []otp.AuditRecord {
	lines, err := w.core.Store.AuditAfter(w.t.Context(), id, limit)
	if err != nil {
		w.t.Error(err)
	}
	return lines
}
