package app

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// requestObserver writes one log line for each request, within the bounds of requestLines, and counts it.
type requestObserver struct {
	logger    *zap.Logger
	metrics   *telemetry.Metrics
	refusals  *deniedCallers
	throttled func(by string)
	lines     *requestLines
}

// Observe is called with a request when its answer is known.
func (o requestObserver) Observe(e api.Event) {
	code := e.Code.String()
	if e.Route == api.RouteOTP {
		o.metrics.CountOTP(code)
	}
	o.metrics.ObserveRequest(e.Route, code, e.Duration)
	o.refusals.observe(e)
	if e.Activations.FewLeft {
		o.metrics.CountFewActivations()
		o.logger.Warn("few SMS activations are left: inWebo locks an account after about 20", zap.String("account", e.Account),
			zap.String("transaction", e.Transaction), zap.Int("smsActivations", e.Activations.Tried))
	}
	if by := throttledBy(e); by != "" {
		o.throttled(by)
	}
	if line := o.logger.Check(levelOf(e), "request"); line != nil && o.lines.allows(e) {
		line.Write(fieldsOf(e)...)
	}
}

// levelOf is error for what we must look into, warn for what a caller was refused, info for the rest.
func levelOf(e api.Event) zapcore.Level {
	switch {
	case e.Code == errcodes.UnknownError || e.Code == errcodes.PostSyncFailed || e.Code == errcodes.CoreNotConfigured:
		return zap.ErrorLevel
	case e.Code != errcodes.OK:
		return zap.WarnLevel
	default:
		return zap.InfoLevel
	}
}

func fieldsOf(e api.Event) []zap.Field {
	const usual = 12 // of an OTP
	fields := append(make([]zap.Field, 0, usual),
		zap.String("transaction", e.Transaction), zap.String("method", e.Method), zap.String("route", e.Route),
		zap.String("remote", e.Remote), zap.Int("code", int(e.Code)), zap.Int("status", e.Status), zap.Duration("took", e.Duration),
	)
	if e.Trace != "" {
		fields = append(fields, zap.String("trace", e.Trace))
	}
	if e.Caller != "" {
		fields = append(fields, zap.String("caller", e.Caller))
	}
	if e.Account != "" {
		fields = append(fields, zap.String("account", e.Account))
	}
	if e.Rounds > 0 {
		fields = append(fields, zap.Uint64("step", e.Step), zap.Int("rounds", e.Rounds), zap.Bool("blocked", e.Blocked))
	}
	if e.Repeated {
		fields = append(fields, zap.Bool("repeated", true))
	}
	if e.Activations.Tried > 0 {
		fields = append(fields, zap.Int("smsActivations", e.Activations.Tried))
	}
	if e.ClientGone {
		fields = append(fields, zap.Bool("callerLeft", true))
	}
	if e.Reason != "" {
		fields = append(fields, zap.String("reason", string(e.Reason)))
	}
	if e.Denied != "" {
		fields = append(fields, zap.String("denied", string(e.Denied)))
	}
	if e.Err != nil {
		fields = append(fields, zap.String("cause", e.Err.Error()))
	}
	if e.Stack != nil {
		fields = append(fields, zap.ByteString("stack", e.Stack))
	}
	return fields
}
