package app

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// Bounds of the lines that each kind of caller can cause: that many at once, and one in each interval from then on.
const (
	deniedBurst    = 100
	deniedInterval = time.Second
)

// The outcomes of refused callers in the audit log. The text of each never changes.
const (
	outcomeUnknownCaller = string(errcodes.ReasonUnauthenticated)
	callerUnknown        = "unknown"
)

// What became of a refused caller's line, as the metrics count it.
const (
	lineRecorded = "recorded"
	lineDropped  = "dropped" // there were too many
	lineFailed   = "failed"  // the store did not take it
)

// deniedCallers writes audit entries for replays, and for calls that were refused before the domain wrote an entry of its own. It writes
// them in the background, so that no entry costs another caller time, and within a limit for the sake of the disk. Unknown callers,
// malformed requests of known callers, and all other calls have a limit each, and a known caller that repeats a refused call has one
// entry for it in repeatWindow. The log has all of them, by their transaction.
type deniedCallers struct {
	store   Store
	logger  *zap.Logger
	metrics *telemetry.Metrics
	lines   chan otp.AuditEntry

	unknownLimit, faultLimit, knownLimit *admission.Limiter

	mu     sync.Mutex
	recent map[otp.AuditEntry]time.Time // lines without Transaction, of known callers
}

const (
	repeatWindow = time.Minute
	maxRecent    = 4096 // lines; beyond that the memory of them begins again
)

func newDeniedCallers(store Store, logger *zap.Logger, metrics *telemetry.Metrics) *deniedCallers {
	limit := func() *admission.Limiter { return admission.NewLimiter(deniedInterval, deniedBurst) }
	return &deniedCallers{
		store: store, logger: logger, metrics: metrics, lines: make(chan otp.AuditEntry, 3*deniedBurst),
		unknownLimit: limit(), faultLimit: limit(), knownLimit: limit(), recent: make(map[otp.AuditEntry]time.Time),
	}
}

// outcomeReplayed is the audit log's word for a call that was answered like the first one of its Idempotency-Key.
const outcomeReplayed = "replayed"

// outcomeOf returns the outcome of the request for the audit log; empty when the domain has written its lines, or none is due.
func outcomeOf(e api.Event) string {
	_, isAudited := errors.AsType[*otp.Attempted](e.Err)
	switch {
	case e.Reason == errcodes.ReasonUnauthenticated:
		return outcomeUnknownCaller
	case e.Repeated:
		return outcomeReplayed
	case e.Caller == "" || isAudited:
		return ""
	default:
		return string(e.Reason)
	}
}

// isFaultOfRequest reports whether the request was refused as such, whatever account it is about: it is malformed, or one too many.
func isFaultOfRequest(e api.Event) bool {
	switch e.Code {
	case errcodes.FacadeNotInitialized, errcodes.MissingParameter:
		return true
	case errcodes.InvalidParameter:
		return e.Reason != errcodes.ReasonIdempotencyKeyReused
	default:
		return false
	}
}

// actionOf returns the last word of a route that is no parameter.
func actionOf(route string) string {
	if last := path.Base(route); !strings.HasPrefix(last, "{") {
		return last
	}
	return path.Base(path.Dir(route))
}

// observe queues the entry of a request, if one is due. It does not block.
func (r *deniedCallers) observe(e api.Event) {
	outcome := outcomeOf(e)
	if outcome == "" {
		return
	}
	line := otp.AuditEntry{
		Account: otp.Account(e.Account), Caller: e.Caller, Action: actionOf(e.Route), Stage: otp.StageOutcome, Outcome: outcome,
	}
	limit := r.knownLimit
	switch {
	case outcome == outcomeUnknownCaller:
		line.Caller, limit = callerUnknown, r.unknownLimit
	case r.isRecent(line, time.Now()):
		return
	case isFaultOfRequest(e):
		limit = r.faultLimit
	}
	line.Transaction = e.Transaction
	if limit.Allow() {
		select {
		case r.lines <- line:
			return
		default:
		}
	}
	r.metrics.CountRefusedCaller(lineDropped)
}

// isRecent reports whether a line that differs in its transaction alone was taken within repeatWindow, and remembers it
// otherwise.
func (r *deniedCallers) isRecent(line otp.AuditEntry, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, seen := r.recent[line]; seen && now.Sub(at) < repeatWindow {
		return true
	}
	if len(r.recent) >= maxRecent {
		clear(r.recent)
	}
	r.recent[line] = now
	return false
}

// run stores the lines, until ctx ends and all that were taken are stored.
func (r *deniedCallers) run(ctx context.Context) {
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

// waiting returns the lines, and those that wait behind them.
func (r *deniedCallers) waiting(lines ...otp.AuditEntry) []otp.AuditEntry {
	for {
		select {
		case line := <-r.lines:
			lines = append(lines, line)
		default:
			return lines
		}
	}
}

func (r *deniedCallers) write(lines []otp.AuditEntry) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	outcome := lineRecorded
	if err := r.store.AppendAudit(ctx, lines); err != nil {
		outcome = lineFailed
		r.logger.Warn("refused callers are missing in the audit log", zap.Int("callers", len(lines)), zap.Error(err))
	}
	for range lines {
		r.metrics.CountRefusedCaller(outcome)
	}
}
