package sqlite

import (
	"context"
	"fmt"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Update is as otp.Store says. Snapshot, decision and write are one job of the writer, in one transaction.
func (s *Store) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	switch broken := s.health.broken(); {
	case broken != nil && s.health.refusal() == nil: // it is read, and what is to be written is refused
		snapshot := func(ctx context.Context) (otp.Snapshot, error) { return s.snapshot(ctx, account, key) }
		return otp.UpdateInSteps(ctx, snapshot, s, decide)
	case broken != nil:
		return otp.Decision{}, broken
	}
	_ = s.ensureReserve(ctx) // the writer refuses a lease without one
	var decided otp.Decision // not to be touched when ctx has ended
	j := &job{Task: task{kind: update}}
	ahead := make(chan struct{})
	j.Task.change = func(on target) (refusal, failure error) {
		j.Task.keep, j.Task.ahead = nil, nil // an earlier run may have decided otherwise
		found, failure := s.readSnapshot(on.conn, account, key)
		if failure != nil {
			return nil, failure
		}
		decided, refusal = otp.Decide(decide, found)
		if refusal != nil || decided.Write == nil {
			return refusal, nil
		}
		w := *decided.Write
		if refusal = s.writer.refuses(w); refusal != nil {
			return refusal, nil
		}
		if w.Response != nil && !j.Task.dropped {
			j.Task.keep = keeping(w)
		}
		if decided.Early {
			j.Task.ahead = ahead
		}
		return on.write(w)
	}
	if err := s.writer.queue.Add(ctx, j); err != nil {
		return otp.Decision{}, untouched(err)
	}
	select {
	case <-ahead:
	case <-j.Finished():
	case <-ctx.Done():
	}
	select {
	case <-ahead: // whatever has happened since
		decided.Pending = &pending{s.writer, j}
		return decided, nil
	default:
	}
	err := outcomeOf(ctx, s.writer.queue.Wait(ctx, j))
	if err != nil && ctx.Err() != nil {
		return otp.Decision{}, err
	}
	return decided, err
}

// pending is a write in a transaction that is being committed.
type pending struct {
	writer *writer
	job    *job
}

// Wait is as otp.Pending says.
func (p *pending) Wait(ctx context.Context) error {
	return outcomeOf(ctx, p.writer.queue.Wait(ctx, p.job))
}

// refuses returns why what was decided is not written.
func (w *writer) refuses(decided otp.Write) error {
	if decided.AuditEntry.Stage == otp.StageAttempt && w.reserve.missing.Load() {
		return untouched(errNoReserve)
	}
	return decided.Check()
}

// snapshot reads what an Update decides on, in a transaction of its own.
func (s *Store) snapshot(ctx context.Context, account otp.Account, key string) (otp.Snapshot, error) {
	if err := s.health.refusal(); err != nil {
		return otp.Snapshot{}, err
	}
	found, err := read(ctx, s.writer, func(c *conn) (otp.Snapshot, error) {
		if _, err := c.exec("BEGIN"); err != nil {
			return otp.Snapshot{}, fmt.Errorf("begin to read: %w", err)
		}
		defer c.rollBack()
		return s.readSnapshot(c, account, key)
	})
	s.health.record(err)
	return found, err
}

// readSnapshot reads the epoch of the store, the row of an account, and what is stored of the call with the key unless that is empty.
// The row and the response may be missing. It must run in a transaction.
func (s *Store) readSnapshot(c *conn, account otp.Account, key string) (found otp.Snapshot, err error) {
	epoch, _, err := one(c, func(r *row) otp.Epoch {
		epoch := readStoreEpoch(r)
		_ = r.text() // the cause
		found.KeysVersion = otp.KeysVersion(r.integer())
		return epoch
	}, readEpoch)
	if err == nil {
		found.Row, _, err = one(c, readRow, fetchRow, string(account))
	}
	if err == nil && key != "" {
		found.Response, _, err = one(c, readResponse, fetchResponse, string(account), key)
	}
	if err != nil {
		return otp.Snapshot{}, fmt.Errorf("fetch the record of an account: %w", err)
	}
	found.Row.Account, found.Row.StoreEpoch, found.Now = account, epoch, s.now()
	return found, nil
}

// readResponse reads a stored response.
func readResponse(r *row) *otp.StoredResponse {
	return &otp.StoredResponse{At: r.at(), Fingerprint: r.blob(), Answer: secret.NewBytes(r.blob())}
}
