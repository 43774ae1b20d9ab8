package app

import (
	"context"
	"net/http"
	"path"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// Bounds of what strangers can have written into the audit log: that many at once, and that many a second for ever.
const (
	refusalBurst     = 100
	refusalPerSecond = 1
)

// What the audit log says of callers who came to nothing. The text of each never changes.
const (
	outcomeUnknownCaller = "refused: caller unknown"
	outcomeNotEntitled   = "refused: not entitled"
	callerUnknown        = "unknown"
)

// What became of a refused caller's line, as the metrics count it.
const (
	refusalNoted   = "noted"
	refusalDropped = "dropped" // there were too many
	refusalFailed  = "failed"  // the store did not take it
)

// refusals notes refused callers in the audit log, in the background, so that none of them costs another caller time, and
// not more of them than the disk can bear. The log has all of them, by their transaction.
type refusals struct {
	store   Store
	logger  *zap.Logger
	metrics *telemetry.Metrics
	limit   *rate.Limiter
	lines   chan otp.Line
}

func newRefusals(store Store, logger *zap.Logger, metrics *telemetry.Metrics) *refusals {
	return &refusals{
		store: store, logger: logger, metrics: metrics,
		limit: rate.NewLimiter(refusalPerSecond, refusalBurst), lines: make(chan otp.Line, refusalBurst),
	}
}

// observe takes the line of a caller who was refused. It does not block.
func (r *refusals) observe(e api.Event) {
	if e.Code != errcodes.AuthenticationRequired {
		return
	}
	line := otp.Line{
		Account: otp.Account(e.Account), Caller: e.Caller, Transaction: e.Transaction, Action: path.Base(e.Route),
		Stage: otp.StageOutcome, Outcome: outcomeNotEntitled,
	}
	if e.Status == http.StatusUnauthorized {
		line.Caller, line.Outcome = callerUnknown, outcomeUnknownCaller
	}
	if r.limit.Allow() {
		select {
		case r.lines <- line:
			return
		default:
		}
	}
	r.metrics.CountRefusedCaller(refusalDropped)
}

// note stores the lines, until ctx ends and all that were taken are stored.
func (r *refusals) note(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case line := <-r.lines:
			r.write(r.waiting(line))
		case <-ctx.Done():
		}
	}
	if rest := r.waiting(); len(rest) > 0 {
		r.write(rest)
	}
}

// waiting gives the lines, and those that wait behind them.
func (r *refusals) waiting(lines ...otp.Line) []otp.Line {
	for {
		select {
		case line := <-r.lines:
			lines = append(lines, line)
		default:
			return lines
		}
	}
}

func (r *refusals) write(lines []otp.Line) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	outcome := refusalNoted
	if err := r.store.Note(ctx, lines); err != nil {
		outcome = refusalFailed
		r.logger.Warn("refused callers are missing in the audit log", zap.Int("callers", len(lines)), zap.Error(err))
	}
	for range lines {
		r.metrics.CountRefusedCaller(outcome)
	}
}
