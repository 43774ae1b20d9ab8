//go:build tools

package contract_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/getkin/kin-openapi/openapi3"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// front is one address for both listeners of a pimsd. A call with a key of the daemon is answered by the daemon. One whose credential is
// the name of a reason is answered by the same handlers, which fail for that reason.
type front struct {
	*httptest.Server

	key, admin, keyID string
}

func newFront(t *testing.T) *front {
	t.Helper()
	d := pimsdtest.Start(t)
	alice := d.Enroll("alice", "1234")
	for range 3 { // for each call of an operation that spends one
		if err := d.Inwebo.AddAccount(inwebosim.Account{Login: "alice", Codes: []inwebosim.Code{{Value: "246810"}}}); err != nil {
			t.Fatal(err)
		}
	}
	f := &front{key: d.Key(alice.Name, "otp", "enroll", "unlock"), admin: d.BackendKey("", authn.ScopeAdmin, authn.ScopeOTP)}
	f.keyID = strings.Split(d.BackendKey("to be revoked"), "_")[1]
	failing := newFailing()
	proxies := map[bool]http.Handler{}
	for isAdmin, address := range map[bool]string{false: d.URL(""), true: d.AdminURL("")} {
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		proxies[isAdmin] = httputil.NewSingleHostReverseProxy(target)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isAdmin := strings.HasPrefix(r.URL.Path, "/v1/") && !strings.HasPrefix(r.URL.Path, "/v1/authentication/")
		credential := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if reason, fails := strings.CutPrefix(credential, "reason."); fails {
			failing.serve(w, r, isAdmin, errcodes.Reason(reason))
			return
		}
		proxies[isAdmin].ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// failing has the handlers of both listeners, whose callers are refused for any reason that an error has.
type failing struct {
	handlers, full, slow map[bool]http.Handler
	rates                *admission.Rates // of slow
}

func newFailing() failing {
	handlers := func(config api.Config) map[bool]http.Handler {
		config.Callers, config.Observer, config.Contract = reasons{}, deaf{}, openapi.Document()
		return map[bool]http.Handler{false: api.New(config), true: api.NewAdmin(config, nil, noKeys{})}
	}
	gate := admission.NewGate(1, 0, 0)
	gate.Acquire(context.Background(), admission.Call{})
	rates := admission.NewRates(1, 1)
	return failing{
		handlers: handlers(api.Config{}), full: handlers(api.Config{Gate: gate}), slow: handlers(api.Config{Rates: rates}), rates: rates,
	}
}

// serve answers a call with the reason. What is no error that authentication may return is done to the request instead.
func (f failing) serve(w http.ResponseWriter, r *http.Request, isAdmin bool, reason errcodes.Reason) {
	handlers, good := f.handlers, true
	switch reason {
	case errcodes.ReasonOverloaded:
		handlers = f.full
	case errcodes.ReasonRateLimited:
		for handlers = f.slow; f.rates.Allow(caller); { // until it has sent too many
		}
	case errcodes.ReasonContentTypeInvalid:
		r.Header.Set("Content-Type", "text/plain")
	case errcodes.ReasonContentEncodingInvalid:
		r.Header.Set("Content-Encoding", "br")
	case errcodes.ReasonBodyTooLarge:
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", api.MaxDeviceFile+1))), api.MaxDeviceFile+1
	case errcodes.ReasonBodyInvalid:
		r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	case errcodes.ReasonNoSuchPath:
		r.URL.Path = "/nowhere"
	case errcodes.ReasonNoSuchMethod:
		r.Method = http.MethodPatch
	case errcodes.ReasonNoSuchKey:
	default:
		good = false
	}
	if good {
		r.Header.Set("Authorization", "Bearer good")
	}
	handlers[isAdmin].ServeHTTP(w, r)
}

// caller is the name of the caller whose calls all fail.
const caller = "reason"

// reasons is an authenticator that fails for the reason that the credential names.
type reasons struct{}

func (reasons) Recall(secret.Text) (authn.Principal, authn.Version, bool) {
	return authn.Principal{}, 0, false
}

func (reasons) Authenticate(_ context.Context, credential secret.Text) (authn.Principal, error) {
	named, fails := strings.CutPrefix(credential.Reveal(), "reason.")
	all := authn.Scopes{authn.ScopeOTP, authn.ScopeEnroll, authn.ScopeUnlock, authn.ScopeAdmin}
	if named == string(errcodes.ReasonInsufficientScope) {
		fails, all = false, nil
	}
	if !fails {
		return authn.Principal{Name: caller, Grant: authn.Grant{Backend: true, Scopes: all}}, nil
	}
	for _, err := range causes() {
		if reasonOf(err) == errcodes.Reason(named) {
			return authn.Principal{}, err
		}
	}
	return authn.Principal{}, errors.New("unforeseen")
}

func causes() []error {
	return append(otp.Causes(), errors.Join(otp.ErrInDoubt, otp.ErrState), errors.Join(otp.ErrInDoubt, otp.ErrPINLocked),
		authn.ErrUnauthenticated, authn.ErrAccountMissing, authn.ErrAccountInvalid, authn.ErrAccountForbidden, authn.ErrKeysUnavailable,
		api.ErrDeviceFile, api.ErrForeignDevice)
}

func reasonOf(err error) errcodes.Reason {
	if reason := otp.ReasonOf(err); reason != "" {
		return reason
	}
	return map[error]errcodes.Reason{
		authn.ErrUnauthenticated: errcodes.ReasonUnauthenticated, authn.ErrAccountMissing: errcodes.ReasonParameterMissing,
		authn.ErrAccountInvalid: errcodes.ReasonParameterInvalid, authn.ErrAccountForbidden: errcodes.ReasonAccountForbidden,
		authn.ErrKeysUnavailable: errcodes.ReasonIssuerKeysUnavailable, api.ErrDeviceFile: errcodes.ReasonDeviceFileInvalid,
		api.ErrForeignDevice: errcodes.ReasonDeviceFileForeign,
	}[err]
}

// noKeys is a store without keys, and deaf an observer that keeps nothing.
type (
	noKeys struct{ api.AdminStore }
	deaf   struct{}
)

func (noKeys) ListKeys(context.Context) ([]authn.Key, error) { return nil, nil }

func (deaf) Observe(api.Event) {}

// outcomes returns each outcome that the document has an example of, as the callers read them. HEAD is answered as GET is; what other
// methods are answered with, no generated client of HEAD can meet.
func (f *front) outcomes(t *testing.T) string {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(openapi.Document()))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for path, item := range doc.Paths.Map() {
		good := f.admin
		if strings.HasPrefix(path, "/v1/authentication/") {
			good = f.key
		}
		for method, operation := range item.Operations() {
			for text, response := range operation.Responses.Map() {
				status, _ := strconv.Atoi(text)
				if status == http.StatusOK {
					lines = append(lines, fmt.Sprintf("%s 200 %s 0", operation.OperationID, good))
					continue
				}
				if method == http.MethodHead { // is answered as GET is
					response = item.Get.Responses.Value(text)
				}
				for _, example := range response.Value.Content["application/json"].Examples {
					reason, code := shown(t, status, example.Value)
					if method == http.MethodHead {
						code = 0
					}
					if method == http.MethodHead && reason == errcodes.ReasonNoSuchMethod {
						continue
					}
					lines = append(lines, fmt.Sprintf("%s %d reason.%s %d", operation.OperationID, status, reason, code))
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// shown returns the reason and the code of an example.
func shown(t *testing.T, status int, example *openapi3.Example) (errcodes.Reason, errcodes.Code) {
	t.Helper()
	text, err := json.Marshal(example.Value)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct{ Error struct{ Code errcodes.Code } }
	if err := json.Unmarshal(text, &envelope); err != nil {
		t.Fatal(err)
	}
	entry, _ := errcodes.Lookup(envelope.Error.Code)
	for _, cause := range entry.Causes {
		if cause.HTTP == status && cause.When == example.Summary {
			return cause.Reason, entry.Code
		}
	}
	t.Fatalf("the catalogue has no cause %q", example.Summary)
	return "", 0
}
