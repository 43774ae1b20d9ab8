package app

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// storeWatchInterval is how often the service looks at the condition of its store.
const storeWatchInterval = 10 * time.Second

// conditioned is a store that reports its condition. PostgreSQL has operators of its own.
type conditioned interface {
	Condition(ctx context.Context) sqlite.Condition
}

// storeWatch checks, while the service runs, the condition of its store, and logs what operators should know about it.
// The service goes on in any case.
type storeWatch struct {
	store    Store
	embedded conditioned // the same store; nil: it reports no condition
	logger   *zap.Logger

	condition atomic.Pointer[sqlite.Condition] // nil before the first look
	unnoticed atomic.Pointer[error]            // the last result of CheckKeys, if it is ErrChangesUnnoticed

	// Only run uses these.
	logged      [conditionNotes]bool
	loggedEpoch uint64
}

// conditionNotes is how many things of a condition are logged, each once.
const conditionNotes = 6

func newStoreWatch(store Store, metrics *telemetry.Metrics, logger *zap.Logger) *storeWatch {
	w := &storeWatch{store: store, logger: logger}
	metrics.WatchEpoch(w.epochNumber)
	if w.embedded, _ = store.(conditioned); w.embedded != nil {
		metrics.WatchEmbeddedStore(
			func() uint64 { return w.current().ResponsesLost }, func() uint64 { return w.current().SettlesByScan },
			func() int64 { return w.current().LogBytes }, func() time.Time { return w.current().LastBackup })
	}
	return w
}

// current returns the condition as last seen.
func (w *storeWatch) current() sqlite.Condition {
	if c := w.condition.Load(); c != nil {
		return *c
	}
	return sqlite.Condition{}
}

// run looks again and again, until ctx ends.
func (w *storeWatch) run(ctx context.Context) { every(ctx, storeWatchInterval, w.check) }

// check looks at the API keys, at the doubt epoch, and at the condition of a store that reports it.
func (w *storeWatch) check(ctx context.Context) {
	w.checkKeys(ctx)
	w.checkEpoch(ctx)
	if w.embedded != nil {
		w.checkCondition(ctx)
	}
}

// checkKeys logs once that changes of API keys are not noticed. It logs nothing when the store cannot be read, which readiness reports.
func (w *storeWatch) checkKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := w.store.CheckKeys(ctx)
	switch unnoticed := errors.Is(err, authn.ErrChangesUnnoticed); {
	case err == nil:
		w.unnoticed.Store(nil)
	case unnoticed && w.unnoticed.Swap(&err) == nil:
		w.logger.Error("revoke no API key by SQL", zap.Error(err))
	}
}

// checkEpoch logs each epoch once per start of the service, except the first epoch, which no cause has raised. It logs nothing when the
// store cannot be read, which readiness reports.
func (w *storeWatch) checkEpoch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	epoch, err := w.store.Epoch(ctx)
	if err != nil || epoch.Number <= max(1, w.loggedEpoch) {
		return
	}
	w.loggedEpoch = epoch.Number
	fields := []zap.Field{zap.Uint64("epoch", epoch.Number), zap.String("cause", epoch.Cause), zap.Time("since", epoch.Since)}
	if epoch.Cause == sqlite.ActionOlder {
		fields = append(fields, zap.String("advice", "an older store "+adviceOnOlder))
	}
	w.logger.Warn("the doubt epoch was raised: each device is in doubt until inWebo accepts its next proof", fields...)
}

// checkCondition logs what is new, each kind once; a log that a reader keeps is logged again when it was good meanwhile.
func (w *storeWatch) checkCondition(ctx context.Context) {
	c := w.embedded.Condition(ctx)
	for i, found := range [conditionNotes]struct {
		is   bool
		note string
	}{
		{c.Unverified != "", "the store was not closed, and not everything of it is verified"},
		{c.Damage != "", "a part of the store is damaged: calls that need it fail, and the others are served (docs/operations.md)"},
		{c.ResponsesLost > 0, "a response of a repeatable call could not be stored with its settle: a repeat of the call is refused"},
		{c.SettlesByScan > 0, "an answer of inWebo was stored without a damaged index"},
		{c.SettlesUnlogged > 0, "an answer of inWebo was stored without its line in the audit log, which is damaged"},
		{c.LogIsKept, "the store's write-ahead log grows, because a reader keeps it: end the process that reads the database"},
	} {
		if found.is && !w.logged[i] {
			w.logger.Warn(found.note, zap.Strings("condition", c.Notes()))
		}
		w.logged[i] = found.is
	}
	w.condition.Store(&c)
}

// describe returns the text of /readyz?verbose about the condition.
func (w *storeWatch) describe(context.Context) string {
	notes := w.current().Notes()
	if err := w.unnoticed.Load(); err != nil {
		notes = append(notes, (*err).Error())
	}
	return strings.Join(notes, "; ")
}

// adviceOnOlder is what follows from an older store that was put in the place of the newer one.
const adviceOnOlder = "leaves each account one guess of its PIN until inWebo accepts one, because what was counted since is not known: " +
	"disable accounts that were locked (pimsd account disable), revoke again the API keys that were revoked since (pimsd key list), and " +
	"count the SMS activations since (pimsd account sms ACCOUNT --used N)"

// epochNumber returns the doubt epoch of the store, for the metric.
func (w *storeWatch) epochNumber(ctx context.Context) (int, error) {
	epoch, err := w.store.Epoch(ctx)
	return int(epoch.Number), err
}
