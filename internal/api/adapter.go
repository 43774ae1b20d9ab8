package api

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/secret"
)

// call is one request on its way, with what the stages find out about it.
type call struct {
	request *http.Request
	body    secret.Bytes // as it came
	cut     error        // why the body ends where it does; nil: it is whole
	header  http.Header  // of the answer
	event   Event
	release func() // returns the call's place back; nil: it has none

	received bool      // the body was read
	queuedAt time.Time // when the call began to wait for its account; the zero time: it has not yet

	mayRecall bool            // the caller may be one that is known from before
	recalled  authn.Version   // in which version of the keys it is; 0: the caller was authenticated for this call
	principal authn.Principal // the caller that was recalled
}

// handler is one stage after the router: the result of a call, or why there is none. It sees no ResponseWriter.
type handler func(c *call) (result any, err error)

// operation is what a call of the family does once its caller is entitled to it and its request is well-formed.
type operation[Req, Resp any] func(ctx context.Context, c *call, req Req) (Resp, error)

// handle puts an operation behind the checks that all of them have, in the order in which docs/contract.md §1 names faults.
func handle[Req, Resp any](a *API, scope authn.Scope, operate operation[Req, Resp]) handler {
	return func(c *call) (any, error) {
		if err := a.admit(c, scope); err != nil {
			return nil, err
		}
		body, err := readBody(c)
		if err != nil {
			return nil, err
		}
		req, err := bind[Req](a.rules, body)
		if err != nil {
			return nil, err
		}
		return operate(c.request.Context(), c, req)
	}
}

// adapt makes an http.Handler of h: the one place that writes answers, reports requests to the observer, and catches panics.
// A body longer than longest, in bytes, is cut.
func (a *API) adapt(route string, longest int64, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		r.Body = http.MaxBytesReader(w, r.Body, longest)
		c := &call{request: r, header: w.Header(), event: Event{
			Transaction: uuid.NewString(), Method: methodName(r.Method), Route: route,
			Remote: remoteOf(r, a.config.TrustedProxies),
		}}
		traced, span := a.startSpan(r, &c.event)
		c.request = traced
		result, err := recoverPanic(h, c)
		if c.release != nil {
			c.release()
		}
		status, body := a.answer(c, result, err)
		c.event.ClientGone = r.Context().Err() != nil
		c.event.Duration = time.Since(began)
		a.report(c, span) // before the answer leaves, so that its receiver finds its line in the log

		if r.Method == http.MethodHead { // the server counts the body of any other
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(status)
		_, _ = w.Write(body) // who asked has gone when this fails
	}
}

// report reports the request to its span and to the observer.
func (a *API) report(c *call, span trace.Span) {
	endSpan(span, c.event)
	a.config.Observer.Observe(c.event)
}

// maxBody is the longest body that is read, in bytes (docs/contract.md §1).
const maxBody = 16 << 10

// recoverPanic calls h, and makes an error of a panic.
func recoverPanic(h handler, c *call) (result any, err error) {
	defer func() {
		if value := recover(); value != nil {
			c.event.Stack = debug.Stack()
			result, err = nil, errOfPanic(value)
		}
	}()
	return h(c)
}

// errOfPanic returns the text of a panic of the runtime, and of any other panic its type alone: its text may be anything.
func errOfPanic(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("%w: %w", errPanic, err)
	}
	return fmt.Errorf("%w with a value of type %T", errPanic, value)
}
