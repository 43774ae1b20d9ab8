package api

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/pimsd/pimsd/internal/errcodes"
)

// startSpan begins the span of a request, below the caller's when its header has one (W3C traceparent). The request that it
// gives carries it, and the event its trace.
func (a *API) startSpan(r *http.Request, e *Event) (*http.Request, trace.Span) {
	if a.config.Tracer == nil {
		return r, noop.Span{}
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := a.config.Tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", e.Method), attribute.String("pimsd.transaction", e.Transaction)))
	if at := span.SpanContext(); at.HasTraceID() {
		e.Trace = at.TraceID().String()
	}
	return r.WithContext(ctx), span
}

// endSpan says how the request ended.
func endSpan(span trace.Span, e Event) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("http.route", e.Route), attribute.Int("http.response.status_code", e.Status),
		attribute.Int("pimsd.code", int(e.Code)))
	if e.Code != errcodes.OK {
		span.SetStatus(codes.Error, e.Code.String())
	}
	span.End()
}
