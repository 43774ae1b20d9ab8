package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	tracer "go.opentelemetry.io/otel/trace"
)

// Traces sends spans to a collector, in the background.
type Traces struct {
	provider *trace.TracerProvider
}

// TraceConfig says where spans go.
type TraceConfig struct {
	URL     string // of the collector, OTLP over HTTP, path included
	Version string // of the program
	Failed  func(error)
}

// NewTraces returns a Traces. It does not connect: a collector that cannot be reached costs spans and nothing else, and Failed is called.
// The log of OpenTelemetry itself is discarded, because it repeats what it cannot read of its variables, among them tokens.
func NewTraces(ctx context.Context, c TraceConfig) (*Traces, error) {
	setZero(otel.SetLogger)
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.URL))
	if err != nil {
		return nil, err
	}
	return &Traces{trace.NewTracerProvider(
		trace.WithBatcher(tellingExporter{exporter, c.Failed}),
		trace.WithSampler(trace.ParentBased(trace.AlwaysSample())),
		trace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "pimsd"), attribute.String("service.version", c.Version))),
	)}, nil
}

// setZero sets a value to the zero of its type. That of a logger discards everything.
func setZero[T any](set func(T)) {
	var zero T
	set(zero)
}

// Tracer makes spans.
func (t *Traces) Tracer() tracer.Tracer { return t.provider.Tracer("github.com/pimsd/pimsd") }

// closeTimeout is how long the last spans may take.
const closeTimeout = 3 * time.Second

// Close sends what is left, for a moment.
func (t *Traces) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what could not be sent, Failed has heard of
	return nil
}

// tellingExporter reports spans that could not be sent, instead of a handler that the whole process shares.
type tellingExporter struct {
	trace.SpanExporter

	failed func(error)
}

func (e tellingExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.failed(err)
	}
	return nil
}
