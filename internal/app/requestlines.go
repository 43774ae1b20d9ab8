package app

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/api"
)

// Bounds of the log lines of each kind of request that could otherwise fill the log: that many at once, and one in each
// interval for ever.
const (
	lineBurst    = 100
	lineInterval = time.Second
)

// leftOutInterval is how often the log says how many lines were left out.
const leftOutInterval = time.Minute

// requestLines bounds the log lines of requests that cost their sender nothing: those of callers who are not known, and those that
// are refused because there are too many. A fault of pimsd has bounds of its own, so that unknown callers cannot hide it. Metrics
// count every request.
type requestLines struct {
	logger        *zap.Logger
	unknown, shed lineLimit
	unknownFaults lineLimit
}

// lineLimit is the bound of one kind of line.
type lineLimit struct {
	limiter *admission.Limiter
	leftOut atomic.Uint64 // since they were last told
}

func newRequestLines(logger *zap.Logger) *requestLines {
	l := &requestLines{logger: logger}
	for _, limit := range []*lineLimit{&l.unknown, &l.shed, &l.unknownFaults} {
		limit.limiter = admission.NewLimiter(lineInterval, lineBurst)
	}
	return l
}

// allows reports whether the request has a log line, and counts it otherwise.
func (l *requestLines) allows(e api.Event) bool {
	limit := &l.unknown
	switch by := throttledBy(e); {
	case e.Caller != "" && by != throttledByRate && by != throttledByLoad:
		return true
	case e.Caller != "":
		limit = &l.shed
	case levelOf(e) == zapcore.ErrorLevel:
		limit = &l.unknownFaults
	}
	if limit.limiter.Allow() {
		return true
	}
	limit.leftOut.Add(1)
	return false
}

// run says from time to time how many lines were left out, until ctx ends.
func (l *requestLines) run(ctx context.Context) {
	afterEach(ctx, leftOutInterval, func(context.Context) { l.logLeftOut() })
	l.logLeftOut()
}

func (l *requestLines) logLeftOut() {
	unknown, shed := l.unknown.leftOut.Swap(0)+l.unknownFaults.leftOut.Swap(0), l.shed.leftOut.Swap(0)
	if unknown+shed > 0 {
		l.logger.Warn("lines of requests were left out of the log",
			zap.Uint64("ofUnknownCallers", unknown), zap.Uint64("ofTooManyRequests", shed))
	}
}
