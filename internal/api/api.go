// Package api is the HTTP API for callers and for administration: routes, request checks, and the answers that docs/contract.md §1 and
// §2 promise.
//
// It identifies the caller, passes a checked request to the domain, and translates the result into envelope, code, label and status.
// It must not decide anything about a device. It must never let the text of an error reach a caller, never write an answer outside its
// one adapter, and never put a secret, or text of an unknown caller that was not checked, into an Event.
package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-chi/chi/v5"
	"github.com/go-playground/validator/v10"
	"go.opentelemetry.io/otel/trace"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// The routes, as events name them.
const (
	RouteOTP        = "/v1/authentication/otp"
	RouteSMSCode    = "/v1/authentication/smscode"
	RouteEnrollment = "/v1/authentication/enrollment"
	RouteAccount    = "/v1/authentication/account"
	RouteContract   = "/openapi.yaml"
	// RouteNone represents every path that there is not.
	RouteNone = "none"
)

// Accounts issues one-time passwords, enrolls devices, and returns the state of accounts; *otp.Service implements it.
type Accounts interface {
	IssueOTP(ctx context.Context, ask otp.Request, pin secret.Text) (otp.Issued, error)
	HasPIN(ctx context.Context, ask otp.Request, code secret.Text) (bool, error)
	Enroll(ctx context.Context, ask otp.Request, enrolling otp.EnrollRequest) (otp.Activations, error)
	Status(ctx context.Context, account otp.Account) (otp.Status, error)
	Unlock(ctx context.Context, ask otp.Request) error
}

// Config is what an API is made of. All down to the Contract are required.
type Config struct {
	Accounts Accounts
	Callers  authn.Authenticator
	// Fingerprints distinguishes requests, in the form that canonical gives them, of one account and one key.
	Fingerprints func(account otp.Account, key string, request secret.Bytes) otp.Fingerprinted
	Observer     Observer
	Contract     string // what `GET /openapi.yaml` answers

	Tracer trace.Tracer // of requests; nil means no tracing

	Gate  *admission.Gate  // bounds the calls in flight; nil: nothing does
	Rates *admission.Rates // bounds what a caller may send; nil: nothing does
	// TrustedProxies are those whose X-Forwarded-For is believed, for the log.
	TrustedProxies []netip.Prefix
}

// API is the handler of the API listener. It is safe for concurrent use.
type API struct {
	config   Config
	router   chi.Router
	rules    *validator.Validate
	closing  atomic.Bool   // every answer is the last one of its connection
	draining atomic.Bool   // and no call is taken any more
	ending   chan struct{} // closed when draining
	endOnce  sync.Once
}

// New returns the handler of the calls of docs/contract.md §1 and §4.
func New(config Config) *API {
	a := newAPI(config)
	a.handle(http.MethodPost, RouteOTP, maxBody, a.recalling(handle(a, authn.ScopeOTP, a.otpWithPIN)))
	a.handle(http.MethodPost, RouteSMSCode, maxBody, handle(a, authn.ScopeEnroll, a.checkSMSCode))
	a.handle(http.MethodPost, RouteEnrollment, maxBody, handle(a, authn.ScopeEnroll, a.enroll))
	a.handle(http.MethodGet, RouteAccount, maxBody, a.account)
	a.handle(http.MethodPost, RouteAccount, maxBody, handle(a, authn.ScopeUnlock, a.unlock))
	return a
}

// newAPI returns an API that has nothing but its contract.
func newAPI(config Config) *API {
	a := &API{
		config: config, router: chi.NewRouter(), rules: newRules(),
		ending: make(chan struct{}),
	}
	a.handle(http.MethodGet, RouteContract, maxBody, func(*call) (any, error) { return document(config.Contract), nil })
	a.router.NotFound(a.adapt(RouteNone, maxBody, func(*call) (any, error) { return nil, errNoSuchPath }))
	a.router.MethodNotAllowed(a.adapt(RouteNone, maxBody, a.noSuchMethod))
	return a
}

// handle routes a method to a handler, and HEAD with GET; the server leaves out the body of an answer to HEAD.
func (a *API) handle(method, route string, longest int64, h handler) {
	adapted := a.adapt(route, longest, h)
	a.router.Method(method, route, adapted)
	if method == http.MethodGet {
		a.router.Method(http.MethodHead, route, adapted)
	}
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// CloseConnections makes every answer from now on the last one of its connection: a client that used a kept connection later could
// send to a closed listener. Calls are accepted as before.
func (a *API) CloseConnections() { a.closing.Store(true) }

// Drain does what CloseConnections does, and answers every new call that the service is stopping. Calls in progress go on.
func (a *API) Drain() {
	a.CloseConnections()
	a.draining.Store(true)
	a.endOnce.Do(func() { close(a.ending) })
}

// noSuchMethod answers what the router takes for a wrong method: that it is, or, of a method that HTTP does not know
// either, maybe a wrong path.
func (a *API) noSuchMethod(c *call) (any, error) {
	path := c.request.URL.RawPath
	if path == "" {
		path = c.request.URL.Path
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if route := a.router.Find(chi.NewRouteContext(), method, path); route != "" {
			c.event.Route = route
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		return nil, errNoSuchPath
	}
	c.header.Set("Allow", strings.Join(allowed, ", "))
	return nil, errNoSuchMethod
}
