package app

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/telemetry"
)

// tracer makes the spans of requests; nil without a collector.
func (a *App) tracer(ctx context.Context) (trace.Tracer, error) {
	c := a.config.Traces
	if c.OTLPURL == "" {
		return nil, nil
	}
	traces, err := telemetry.NewTraces(ctx, telemetry.TraceConfig{
		URL: c.OTLPURL, Version: Build().Version,
		Failed: func(err error) { a.logger.Warn("traces could not be sent", zap.Error(err)) },
	})
	if err != nil {
		return nil, fmt.Errorf("traces.otlp_url: %w", err)
	}
	a.closers.push("traces", traces.Close)
	return traces.Tracer(), nil
}
