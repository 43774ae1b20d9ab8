package api_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a good request has, and gets.
const (
	aToken  = "pims_token-of-alice"
	aPIN    = "0987"
	anOTP   = "0lyo2o6c"
	aBody   = `{"action":"withPIN","pinCode":"0987"}`
	fleet   = "pims_token-of-the-fleet"
	noScope = "pims_token-that-enrolls"
	unlocks = "pims_token-that-unlocks"
)

// domain is an api.Accounts that answers what it is set to, and counts how often it was asked.
type domain struct {
	mu    sync.Mutex
	issue func(ctx context.Context) (otp.Issued, error)
	asked []otp.Request
	pins  []string

	err       error // of every other call
	hasPIN    bool
	used      otp.Activations
	status    otp.Status
	codes     []string // SMS codes
	enrolling otp.EnrollRequest
}

func (d *domain) HasPIN(_ context.Context, ask otp.Request, code secret.Text) (bool, error) {
	d.asked, d.codes = append(d.asked, ask), append(d.codes, code.Reveal())
	return d.hasPIN, d.err
}

func (d *domain) Enroll(_ context.Context, ask otp.Request, e otp.EnrollRequest) (otp.Activations, error) {
	d.asked, d.codes, d.pins, d.enrolling = append(d.asked, ask), append(d.codes, e.SMSCode.Reveal()), append(d.pins, e.PIN.Reveal()), e
	return d.used, d.err
}

func (d *domain) Status(_ context.Context, account otp.Account) (otp.Status, error) {
	d.asked = append(d.asked, otp.Request{Account: account})
	return d.status, d.err
}

func (d *domain) Unlock(_ context.Context, ask otp.Request) error {
	d.asked = append(d.asked, ask)
	return d.err
}

func (d *domain) IssueOTP(ctx context.Context, ask otp.Request, pin secret.Text) (otp.Issued, error) {
	d.mu.Lock()
	d.asked = append(d.asked, ask)
	d.pins = append(d.pins, pin.Reveal())
	issue := d.issue
	d.mu.Unlock()
	return issue(ctx)
}

// callers is an authn.Authenticator of four credentials.
type callers struct {
	err     error // of every call
	unknown error // of a credential that it does not know

	recalls  authn.Version // in which a credential is known from before; 0: none is
	recalled string        // that credential
}

func (c *callers) Recall(credential secret.Text) (authn.Principal, authn.Version, bool) {
	if c.recalls == 0 || credential.Reveal() != c.recalled {
		return authn.Principal{}, 0, false
	}
	return authn.Principal{Name: "key:alice", Grant: authn.Grant{Account: "alice", Scopes: authn.Scopes{authn.ScopeOTP}}}, c.recalls, true
}

func (c *callers) Authenticate(_ context.Context, credential secret.Text) (authn.Principal, error) {
	may := authn.Scopes{authn.ScopeOTP}
	known := map[string]authn.Principal{
		aToken:  {Name: "key:alice", Grant: authn.Grant{Account: "alice", Scopes: may}},
		fleet:   {Name: "key:fleet", Grant: authn.Grant{Backend: true, Prefix: "fleet-", Scopes: may}},
		noScope: {Name: "key:enroll", Grant: authn.Grant{Account: "alice", Scopes: authn.Scopes{authn.ScopeEnroll}}},
		unlocks: {Name: "key:ops", Grant: authn.Grant{Account: "alice", Scopes: authn.Scopes{authn.ScopeUnlock}}},
	}
	principal, ok := known[credential.Reveal()]
	switch {
	case c.err != nil:
		return authn.Principal{}, c.err
	case !ok:
		return authn.Principal{}, cmp.Or(c.unknown, authn.ErrUnauthenticated)
	}
	return principal, nil
}

// journal is an api.Observer that keeps what it hears.
type journal struct {
	mu     sync.Mutex
	events []api.Event
}

func (j *journal) Observe(e api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// last returns the one event since the last time, and fails tb when there is another number of them.
func (j *journal) last(tb testing.TB) api.Event {
	tb.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.events) != 1 {
		tb.Fatalf("%d events for one request", len(j.events))
	}
	e := j.events[0]
	j.events = nil
	return e
}

// bench is an API on a loopback socket, with all that it stands on.
type bench struct {
	*api.API
	domain  *domain
	callers *callers
	journal *journal
	server  *httptest.Server
}

// contract is loaded once: it takes as long as all else together.
var contract struct {
	sync.Once
	*pimsdtest.Contract
}

func newBench(tb testing.TB, change ...func(*api.Config)) *bench {
	tb.Helper()
	contract.Do(func() { contract.Contract = pimsdtest.NewContract(tb) })
	b := &bench{
		domain: &domain{issue: func(context.Context) (otp.Issued, error) {
			return otp.Issued{OTP: secret.NewText(anOTP), Step: 7, Rounds: 1}, nil
		}},
		callers: &callers{},
		journal: &journal{},
	}
	config := api.Config{
		Accounts: b.domain, Callers: b.callers, Observer: b.journal, Contract: openapi.Document(), Fingerprints: printless,
	}
	for _, f := range change {
		f(&config)
	}
	b.API = api.New(config)
	b.server = httptest.NewUnstartedServer(b.API)
	b.server.Config.DisableGeneralOptionsHandler = true
	b.server.Start()
	tb.Cleanup(b.server.Close)
	return b
}

// request is one to be sent. The zero value is a good one, but for its body.
type request struct {
	method string // POST
	path   string // that of the OTP
	header string // lines that replace those of a good request; `Name:` takes one away, `+Name: value` adds to it
	body   string
}

func (r request) of(tb testing.TB, base string) *http.Request {
	tb.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = api.RouteOTP
	}
	req, err := http.NewRequestWithContext(tb.Context(), r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + aToken}, "Content-Type": {"application/json"}}
	for line := range strings.Lines(r.header) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		if name, adds := strings.CutPrefix(name, "+"); adds {
			req.Header.Add(name, strings.TrimSpace(value))
			continue
		}
		req.Header.Set(name, strings.TrimSpace(value))
		if value == "" {
			req.Header.Del(name)
		}
	}
	return req
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
	closes bool // the connection
}

// send sends a request and checks of the answer what every answer has.
func (b *bench) send(tb testing.TB, r request) reply {
	tb.Helper()
	return b.sendUnchecked(tb, r, true)
}

// sendUnchecked is send; documented says whether openapi.yaml knows the answer.
func (b *bench) sendUnchecked(tb testing.TB, r request, documented bool) reply {
	tb.Helper()
	req := r.of(tb, b.server.URL)
	resp, err := b.server.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if documented {
		req.URL.Path = req.URL.EscapedPath() // the checker looks paths up as they were sent
		contract.Check(tb, req, resp, body)
	}
	got := reply{resp.StatusCode, resp.Header, string(body), resp.Close}
	got.checkHeader(tb)
	return got
}

var wholeUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func (r reply) checkHeader(tb testing.TB) {
	tb.Helper()
	if id := r.header.Values("X-Request-Id"); len(id) != 1 || !wholeUUID.MatchString(id[0]) {
		tb.Errorf("X-Request-Id is %q", id)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := strings.Join(r.header.Values(name), "|"); got != want {
			tb.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// is fails tb unless the answer is exactly that failure: status and body.
func (r reply) is(tb testing.TB, status, code int, label string) {
	tb.Helper()
	want := fmt.Sprintf(`{"transactionId":%q,"status":"FAILED","error":{"code":%d,"label":%q}}`, r.transaction(), code, label)
	if r.status != status || r.body != want || r.header.Get("Content-Type") != "application/json" {
		tb.Errorf("got %d %s %s\nwant %d %s", r.status, r.header.Get("Content-Type"), r.body, status, want)
	}
}

// transaction returns the first two groups of the request's id.
func (r reply) transaction() string {
	id := r.header.Get("X-Request-Id")
	return id[:min(13, len(id))]
}

// printless is for a domain that looks at no fingerprint.
func printless(otp.Account, string, secret.Bytes) otp.Fingerprinted { return nil }
