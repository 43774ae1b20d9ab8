// Package tracing starts spans below the span of a context, with the tracer that made that one. Without tracing it starts none.
//
// A span may say what was done and how it ended. It must never get an account, a caller, or anything in which a secret could be; the
// words of an error are those that the log may have.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// name is the instrumentation's, as OpenTelemetry calls it.
const name = "github.com/pimsd/pimsd"

// End ends a span: with an error, when what it is about failed.
type End func(err error)

// Start begins a span of that name below the context's.
func Start(ctx context.Context, what string) (context.Context, End) {
	return start(ctx, trace.SpanFromContext(ctx), what, trace.SpanKindInternal)
}

// StartCall is Start for what another machine is asked; it is not told of the trace.
func StartCall(ctx context.Context, what string) (context.Context, End) {
	return start(ctx, trace.SpanFromContext(ctx), what, trace.SpanKindClient)
}

// Under is Start for work that outlives the context it was asked in.
func Under(parent trace.Span, what string) End {
	_, end := start(context.Background(), parent, what, trace.SpanKindInternal)
	return end
}

func start(ctx context.Context, parent trace.Span, what string, kind trace.SpanKind) (context.Context, End) {
	if !parent.SpanContext().IsValid() { // no tracing
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer(name).Start(trace.ContextWithSpan(ctx, parent), what, trace.WithSpanKind(kind))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}
