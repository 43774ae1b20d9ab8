package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// One call removes all that is due, however much it is, and in steps that are transactions of their own.
func TestHousekeepingKeepsUp(t *testing.T) {
	t.Parallel()
	const n = 1000
	s, commits := observed(t)
	old := now().Add(-2 * time.Hour)
	err := s.writer.change(t.Context(), func(on target) (refusal, failure error) {
		for i := range n {
			w := benchWrite(1, uint64(i+2))
			w.AuditEntry.At = old
			w.Response = &otp.KeyedResponse{Key: fmt.Sprintf("%064d", i), IsOTP: true, StoredResponse: otp.StoredResponse{
				At: old, Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("response")),
			}}
			if failure = on.insertLine(w.ID, w.AuditEntry); failure == nil {
				_, failure = keeping(w)(on)
			}
			if failure != nil {
				return nil, failure
			}
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := func(what string, call error) {
		t.Helper()
		if got := len(*commits); call != nil || got < n/stepRows {
			t.Errorf("%s took %d steps (%v)", what, got, call)
		}
		*commits = nil
	}
	*commits = nil
	steps("spending", s.ForgetAnswers(t.Context(), time.Hour, 24*time.Hour))
	if left := value(t, s, "SELECT count(*) FROM answer WHERE answer IS NOT NULL"); left != "0" {
		t.Errorf("%s of %d responses are left", left, n)
	}
	steps("dropping", s.ForgetAnswers(t.Context(), time.Hour, time.Hour))
	if left := value(t, s, "SELECT count(*) FROM answer"); left != "0" {
		t.Errorf("%s of %d keys are left", left, n)
	}
	steps("deleting lines", s.ForgetLines(t.Context(), time.Hour))
	if left := value(t, s, "SELECT count(*) FROM audit"); left != "1" {
		t.Errorf("%s of %d lines are left, want the newest alone", left, n)
	}
}

// Housekeeping that runs out of time goes on with the next call, and that is no fault; but the first step must succeed.
func TestHousekeepingOutOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, commits := observed(t)
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		endless := func(target) (more bool, failure error) {
			if steps++; steps == 3 {
				cancel()
			}
			return true, nil
		}
		err := s.deleteInSteps(ctx, endless)
		synctest.Wait() // for the commit of the last step, which nothing waits for
		if err != nil || steps != 3 || len(*commits) != 3 {
			t.Errorf("after %d steps: %v", steps, err)
		}
		if err := s.deleteInSteps(ctx, endless); !errors.Is(err, context.Canceled) {
			t.Errorf("without time for a step: %v", err)
		}
	})
}

// Lines whose stamps lie in the future hold up none that are old, and go with them.
func TestOldLinesBehindOnesFromTheFuture(t *testing.T) {
	t.Parallel()
	s, _ := observed(t)
	old, ahead := now().Add(-2*time.Hour), now().AddDate(10, 0, 0)
	for n, at := range []time.Time{ahead, ahead, old, ahead, old, now()} {
		w := benchWrite(n, 1)
		w.AuditEntry.At = at
		if err := s.Create(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ForgetLines(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if lines, err := s.AuditAfter(t.Context(), 0, 10); err != nil || len(lines) != 1 || lines[0].Account != "account 5" {
		t.Errorf("left are %d lines (%v), want the newest alone", len(lines), err)
	}
}
