package app

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// observeMetrics turns what the domain and the client of inWebo report into metrics.
func observeMetrics(m *telemetry.Metrics, logger *zap.Logger) Observers {
	return Observers{
		OTP: domainMetrics{m, logger, newSettleFailures(logger)},
		Exchange: func(exchange inwebo.Exchange, err error, took time.Duration) {
			m.ObserveExchange(string(exchange), exchangeOutcome(err), took)
		},
		Transcript: func(err error) {
			logger.Warn("nothing more is written to inwebo.transcript_file", zap.Error(err))
		},
	}
}

// exchangeOutcome is the label of how an exchange ended.
func exchangeOutcome(err error) string {
	var refusal *inwebo.Refusal
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refusal):
		return "refused"
	case errors.Is(err, inwebo.ErrNeverSent):
		return "never_sent"
	default:
		return "no_answer"
	}
}

// domainMetrics is an otp.Observer, whose CommitWindow and Retrying are those of the metrics.
type domainMetrics struct {
	*telemetry.Metrics
	logger   *zap.Logger
	failures *settleFailures
}

func (m domainMetrics) Committed(what otp.Commit, err error) {
	outcome := "failed"
	switch {
	case err == nil:
		outcome = "done"
	case errors.Is(err, otp.ErrConflict), errors.Is(err, otp.ErrExists), errors.Is(err, otp.ErrHistoryChanged):
		outcome = "conflict"
	}
	m.CountCommit(string(what), outcome)
	if what == otp.CommitSettle && outcome == "failed" {
		m.failures.log(err)
	}
}

func (m domainMetrics) Panicked(task string, err error, stack []byte) {
	m.CountPanic(task)
	m.logger.Error("a task of the domain panicked, and goes on", zap.String("task", task), zap.Error(err), zap.ByteString("stack", stack))
}

func (m domainMetrics) Circuit(state admission.State) {
	m.SetCircuit(int(state))
	switch state {
	case admission.Open:
		m.logger.Warn("inWebo cannot be reached: the circuit is open for a while")
	case admission.HalfOpen:
		m.logger.Info("one conversation finds out whether inWebo can be reached again")
	case admission.Closed:
		m.logger.Info("inWebo answers again")
	}
}
