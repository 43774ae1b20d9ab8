package pimsdtest_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// resultOf returns what an answer has as its result.
func resultOf[T any](t *testing.T, got pimsdtest.Answer) (result T) {
	t.Helper()
	envelope := struct{ Result *T }{&result}
	if err := json.Unmarshal([]byte(got.Body), &envelope); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	return result
}

// accountsPage, keysPage and auditPage are what tests read of pages.
type (
	accountsPage struct {
		Accounts []struct {
			Account  string
			Needs    []string
			Disabled bool
		}
		Next string
	}
	keysPage struct {
		Keys []struct{ ID, Kind, Account, Prefix, Scope, State string }
	}
	newKey    struct{ ID, Key string }
	auditPage struct {
		Lines []struct {
			ID                                                   int64
			Account, Caller, Transaction, Action, Stage, Outcome string
		}
		Next int64
	}
)

// names are the accounts of a page.
func (p accountsPage) names() (names []string) {
	for _, a := range p.Accounts {
		names = append(names, a.Account)
	}
	return names
}

// call is one of the API's or of administration's, for the account.
type routeCall struct {
	method, path, body, contentType string
	scope                           authn.Scope
	admin                           bool // it is on the listener of administration
	global                          bool // it names no account
}

func (c routeCall) make(d *pimsdtest.Daemon, credential, account string) pimsdtest.Answer {
	place := strings.NewReplacer("{account}", url.PathEscape(account), "{id}", "nosuchkey234")
	header := []string{}
	if c.contentType != "" {
		header = append(header, "Content-Type: "+c.contentType)
	}
	if c.admin {
		return d.Admin(credential, c.method, place.Replace(c.path), c.body, header...)
	}
	return d.Call(credential, c.method, c.path, c.body, append(header, "X-Pims-Account: "+account)...)
}

// routeCalls has every operation of the contract that needs a credential.
func routeCalls() []routeCall {
	const octets = "application/octet-stream"
	calls := []routeCall{
		{method: "POST", path: "/v1/authentication/otp", body: pimsdtest.WithPIN("1"), scope: authn.ScopeOTP},
		{method: "POST", path: pimsdtest.PathSMSCode, body: `{}`, scope: authn.ScopeEnroll},
		{method: "POST", path: pimsdtest.PathEnrollment, body: `{}`, scope: authn.ScopeEnroll},
		{method: "GET", path: pimsdtest.PathAccount, scope: authn.ScopeOTP},
		{method: "HEAD", path: pimsdtest.PathAccount, scope: authn.ScopeOTP},
		{method: "POST", path: pimsdtest.PathAccount, body: `{}`, scope: authn.ScopeUnlock},
		{method: "POST", path: "/v1/accounts/{account}", body: `{}`, admin: true},
		{method: "PUT", path: "/v1/accounts/{account}/device", body: "x", contentType: octets, admin: true},
		{method: "POST", path: "/v1/keys", body: `{}`, admin: true, global: true},
		{method: "DELETE", path: "/v1/keys/{id}", admin: true, global: true},
	}
	for _, method := range []string{"GET", "HEAD"} {
		calls = append(calls,
			routeCall{method: method, path: "/v1/accounts/{account}", admin: true},
			routeCall{method: method, path: "/v1/accounts", admin: true, global: true},
			routeCall{method: method, path: "/v1/keys", admin: true, global: true},
			routeCall{method: method, path: "/v1/audit", admin: true, global: true})
	}
	for i := range calls {
		if calls[i].admin {
			calls[i].scope = authn.ScopeAdmin
		}
	}
	return calls
}

// No operation of the contract is missing among routeCalls.
func TestWhoMayCallWhatKnowsEveryRoute(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(openapi.Document()))
	if err != nil {
		t.Fatal(err)
	}
	var documented, tested []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if path != "/openapi.yaml" {
				documented = append(documented, method+" "+path)
			}
		}
	}
	for _, c := range routeCalls() {
		tested = append(tested, c.method+" "+c.path)
	}
	slices.Sort(documented)
	slices.Sort(tested)
	if !slices.Equal(documented, tested) {
		t.Errorf("the contract has\n%q, and tested are\n%q", documented, tested)
	}
}

// TestWhoMayCallWhat makes every call with every kind of credential, scope and prefix. A caller that may is refused for its
// request alone; one that may not, with 401 or 403.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	tokens := newIssuer(t)
	tokens.Scopes = []string{"otp", "enroll", "unlock"}
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.JWT.Issuers = append(s.Config.JWT.Issuers, tokens.Issuer) })
	all := authn.Scopes{authn.ScopeOTP, authn.ScopeEnroll, authn.ScopeUnlock}
	type credential struct {
		name, text string
		grant      authn.Grant
	}
	credentials := []credential{
		{"a token", tokens.token("fleet-1", time.Hour), authn.Grant{Account: "fleet-1", Scopes: all}},
		{"an account's key", d.Key("fleet-1", all...), authn.Grant{Account: "fleet-1", Scopes: all}},
	}
	for _, prefix := range []string{"", "fleet-1", "fleet-", "other"} {
		for _, scope := range append(slices.Clone(all), authn.ScopeAdmin) {
			credentials = append(credentials, credential{
				fmt.Sprintf("a backend's key for %q with %s", prefix, scope), d.BackendKey(prefix, scope),
				authn.Grant{Backend: true, Prefix: prefix, Scopes: authn.Scopes{scope}},
			})
		}
	}
	for _, c := range routeCalls() {
		for _, credential := range []string{"", "pims_x", "x.y.z"} {
			want := `Bearer realm="pimsd", error="invalid_token"`
			if credential == "" {
				want = `Bearer realm="pimsd"`
			}
			if got := c.make(d, credential, "fleet-1"); got.Status != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") != want ||
				got.Header.Get("X-Pims-Reason") != "unauthenticated" || got.Header.Get("X-Pims-Advice") != "fix_request" {
				t.Errorf("%s %s with the credential %q: %d %s %v", c.method, c.path, credential, got.Status, got.Body, got.Header)
			}
		}
		if got := c.make(d, tokens.token("fleet-1", time.Hour), "fleet-1"); c.admin && got.Status != http.StatusUnauthorized {
			t.Errorf("%s %s with a token: %d %s", c.method, c.path, got.Status, got.Body)
		}
		for _, who := range credentials {
			if who.name == "a token" && c.admin {
				continue // it is no credential there
			}
			for _, account := range []string{"fleet-1", "fleet-1-7", "fleet-10", "other"} {
				mayCall := who.grant.Has(c.scope)
				mayFor := c.global || who.grant.IncludesAccount(account)
				got := c.make(d, who.text, account)
				if refused := got.Status == http.StatusForbidden; refused == (mayCall && mayFor) || got.Status == http.StatusUnauthorized {
					t.Errorf("%s %s for %s with %s: %d %s", c.method, c.path, account, who.name, got.Status, got.Body)
				}
				reason, challenge := got.Header.Get("X-Pims-Reason"), ""
				switch {
				case !mayCall:
					challenge = fmt.Sprintf(`Bearer realm="pimsd", error="insufficient_scope", scope="%s"`, c.scope)
				case !mayFor:
					challenge = `Bearer realm="pimsd", error="insufficient_scope"`
				}
				if !mayCall && reason != "insufficient_scope" || mayCall && !mayFor && reason != "account_forbidden" {
					t.Errorf("%s %s for %s with %s: the reason is %q", c.method, c.path, account, who.name, reason)
				}
				if got := got.Header.Get("WWW-Authenticate"); got != challenge {
					t.Errorf("%s %s for %s with %s: the challenge is %q, want %q", c.method, c.path, account, who.name, got, challenge)
				}
			}
		}
	}
}

// Administration does what the commands do, with the same lines in the audit log.
func TestAdministeringAnAccount(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	d, admin := a.Daemon, a.Daemon.BackendKey("", authn.ScopeAdmin)
	change := func(action string) pimsdtest.Answer {
		return d.Admin(admin, http.MethodPost, "/v1/accounts/alice", fmt.Sprintf(`{"action":%q}`, action))
	}
	if got := change("forget"); got.Status != 409 || got.Code != 2311 || got.Header.Get("X-Pims-Reason") != "account_not_disabled" {
		t.Errorf("an account that is not disabled is forgotten: %d %s", got.Status, got.Body)
	}
	done := change("disable")
	if done.Status != 200 {
		t.Fatalf("%d %s", done.Status, done.Body)
	}
	if got := auditLines(t, d, done); !slices.Equal(got, []string{"outcome done"}) {
		t.Errorf("the audit log has %q", got)
	}
	if got := a.OTP(aPIN); got.Status != 404 || got.Code != 2312 || got.Header.Get("X-Pims-Reason") != "account_disabled" ||
		got.Header.Get("X-Pims-Advice") != "operator" {
		t.Errorf("an OTP of a disabled account: %d %s %v", got.Status, got.Body, got.Header)
	}
	for _, action := range []string{"enable", "unlock", "doubt"} {
		if got := change(action); got.Status != 200 {
			t.Errorf("%s: %d %s", action, got.Status, got.Body)
		}
	}
	if page := resultOf[accountsPage](t, d.Admin(admin, "GET", "/v1/accounts?needs=doubt", "")); !slices.Equal(page.names(), []string{"alice"}) {
		t.Errorf("in doubt are %v", page)
	}
	wantOTP(t, a)
	for _, action := range []string{"disable", "forget"} {
		if got := change(action); got.Status != 200 {
			t.Errorf("%s: %d %s", action, got.Status, got.Body)
		}
	}
	page := resultOf[accountsPage](t, d.Admin(admin, "GET", "/v1/accounts?needs=enrollment", ""))
	if !slices.Equal(page.names(), []string{"alice"}) || !page.Accounts[0].Disabled {
		t.Errorf("without a device are %v", page)
	}
	if got := d.Admin(admin, "GET", "/v1/accounts/unknown", ""); got.Status != 404 || got.Code != 2312 {
		t.Errorf("an account that there is not: %d %s", got.Status, got.Body)
	}
	if got := d.Call(admin, "GET", "/v1/accounts", ""); got.Status != 404 || got.Code != 2002 {
		t.Errorf("administration at the API's listener: %d %s", got.Status, got.Body)
	}
}

// A key that is made over REST lies within the one that makes it, and administers nothing.
func TestKeysOverREST(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	fleet := d.BackendKey("fleet-1", authn.ScopeAdmin, authn.ScopeOTP)
	for body, want := range map[string]struct {
		status int
		reason string
	}{
		`{"kind":"backend","prefix":"fleet-1","scope":"otp"}`:                        {200, ""},
		`{"kind":"backend","prefix":"fleet-1-a","scope":"otp","expiresIn":"1h"}`:     {200, ""},
		`{"kind":"account","account":"fleet-1","scope":"otp"}`:                       {200, ""},
		`{"kind":"backend","prefix":"fleet-10","scope":"otp"}`:                       {403, "account_forbidden"},
		`{"kind":"backend","prefix":"fleet-","scope":"otp"}`:                         {403, "account_forbidden"},
		`{"kind":"backend","scope":"otp"}`:                                           {403, "account_forbidden"},
		`{"kind":"account","account":"fleet-10","scope":"otp"}`:                      {403, "account_forbidden"},
		`{"kind":"backend","prefix":"fleet-1","scope":"otp enroll"}`:                 {403, "insufficient_scope"},
		`{"kind":"backend","prefix":"fleet-1","scope":"admin"}`:                      {400, "parameter_invalid"},
		`{"kind":"backend","prefix":"fleet-1","scope":" "}`:                          {400, "parameter_invalid"},
		`{"kind":"backend","prefix":"fleet-1"}`:                                      {400, "parameter_missing"},
		`{"kind":"account","scope":"otp"}`:                                           {400, "parameter_missing"},
		`{"kind":"account","account":"fleet-1 ","scope":"otp"}`:                      {400, "parameter_invalid"},
		`{"kind":"backend","prefix":"fleet-1","account":"fleet-1","scope":"otp"}`:    {400, "parameter_invalid"},
		`{"kind":"backend","prefix":"fleet-1","scope":"otp","expiresIn":"-1h"}`:      {400, "parameter_invalid"},
		`{"kind":"backend","prefix":"fleet-1","scope":"otp","expiresIn":"tomorrow"}`: {400, "parameter_invalid"},
	} {
		got := d.Admin(fleet, http.MethodPost, "/v1/keys", body)
		if got.Status != want.status || got.Header.Get("X-Pims-Reason") != want.reason {
			t.Errorf("%s: %d %s %q", body, got.Status, got.Body, got.Header.Get("X-Pims-Reason"))
		}
	}
	everything := d.BackendKey("", authn.ScopeAdmin, authn.ScopeOTP)
	if got := d.Admin(everything, http.MethodPost, "/v1/keys", `{"kind":"backend","prefix":" x","scope":"otp"}`); got.Label != "Invalid prefix parameter" {
		t.Errorf("a prefix that begins with a blank: %d %s", got.Status, got.Body)
	}
	made := resultOf[newKey](t, d.Admin(fleet, http.MethodPost, "/v1/keys", `{"kind":"account","account":"fleet-1","scope":"otp"}`))
	if got := d.Ask(made.Key, pimsdtest.WithPIN(aPIN)); got.Status != 404 {
		t.Errorf("the key is not good: %d %s", got.Status, got.Body)
	}
	elsewhere := strings.Split(d.BackendKey("fleet-10"), "_")[1]
	for _, key := range resultOf[keysPage](t, d.Admin(fleet, "GET", "/v1/keys", "")).Keys {
		if key.ID == elsewhere || !strings.HasPrefix(key.Account+key.Prefix, "fleet-1") {
			t.Errorf("another's key is listed: %+v", key)
		}
	}
	if got := d.Admin(fleet, http.MethodDelete, "/v1/keys/"+elsewhere, ""); got.Status != 404 || got.Header.Get("X-Pims-Reason") != "no_such_key" {
		t.Errorf("another's key is revoked: %d %s", got.Status, got.Body)
	}
	revoked := d.Admin(fleet, http.MethodDelete, "/v1/keys/"+made.ID, "")
	if got := auditLines(t, d, revoked); revoked.Status != 200 || !slices.Equal(got, []string{"attempt", "outcome done"}) {
		t.Errorf("%d %s, and the audit log has %q", revoked.Status, revoked.Body, got)
	}
	if got := d.Ask(made.Key, pimsdtest.WithPIN(aPIN)); got.Status != 401 {
		t.Errorf("a revoked key is good: %d %s", got.Status, got.Body)
	}
}

// A listing has the accounts of the caller's prefix alone, page by page, and so has the audit log.
func TestListingsKeepToThePrefix(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	for _, name := range []string{"fleet-0", "fleet-1", "fleet-1-7", "fleet-10", "fleet-2"} {
		d.Enroll(name, aPIN)
	}
	fleet, mine := d.BackendKey("fleet-1", authn.ScopeAdmin), []string{"fleet-1", "fleet-1-7"}
	var names []string
	for after, more := "", true; more; more = after != "" {
		page := resultOf[accountsPage](t, d.Admin(fleet, "GET", "/v1/accounts?limit=1&after="+after, ""))
		names, after = append(names, page.names()...), page.Next
	}
	if !slices.Equal(names, mine) {
		t.Errorf("the listing has %q", names)
	}
	for _, line := range resultOf[auditPage](t, d.Admin(fleet, "GET", "/v1/audit?limit=1000", "")).Lines {
		if !slices.Contains(mine, line.Account) {
			t.Errorf("the audit log has a line about %q", line.Account)
		}
	}
}

// A long poll ends with the first line about its accounts, when its time is over, and when the service stops.
func TestAuditLongPoll(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	fleet, all := d.BackendKey("fleet-", authn.ScopeAdmin), d.BackendKey("", authn.ScopeAdmin)
	d.Enroll("alice", aPIN)
	poll := func(key, query string) auditPage {
		return resultOf[auditPage](t, d.Admin(key, "GET", "/v1/audit?"+query, ""))
	}
	seen := poll(all, "limit=1000")
	if len(seen.Lines) == 0 || seen.Next != seen.Lines[len(seen.Lines)-1].ID {
		t.Fatalf("the log has %+v", seen)
	}
	if mine := poll(fleet, "wait=10ms"); len(mine.Lines) != 0 || mine.Next < seen.Next {
		t.Errorf("another's lines are shown, or looked at again: %+v", mine)
	}
	came := make(chan auditPage)
	go func() { came <- poll(fleet, fmt.Sprintf("wait=1m&after=%d", seen.Next)) }()
	d.Enroll("fleet-1", aPIN)
	if page := <-came; len(page.Lines) == 0 || page.Lines[0].Account != "fleet-1" {
		t.Errorf("the poll ended with %+v", page)
	}
	go func() { came <- poll(fleet, "wait=1m&after=1000000") }()
	for d.Metrics()["pimsd_requests_in_flight"] == 0 {
		time.Sleep(time.Millisecond)
	}
	d.Interrupt()
	if page := <-came; len(page.Lines) != 0 {
		t.Errorf("the poll ended with %+v", page)
	}
}

// One caller cannot hold every long poll: another one still gets an answer.
func TestLongPollsAreShared(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	greedy, other := d.BackendKey("fleet-", authn.ScopeAdmin), d.BackendKey("", authn.ScopeAdmin)
	const polls, held = 70, 48 // the greedy caller may have three quarters of 64
	statuses := make(chan int, polls)
	for range polls {
		go func() { statuses <- d.Admin(greedy, "GET", "/v1/audit?wait=1m&after=1000000", "").Status }()
	}
	for range polls - held {
		if status := <-statuses; status != http.StatusServiceUnavailable {
			t.Fatalf("a greedy caller's poll is answered %d", status)
		}
	}
	if got := d.Admin(other, "GET", "/v1/audit?wait=10ms&after=1000000", ""); got.Status != 200 {
		t.Errorf("beside a greedy caller: %d %s", got.Status, got.Body)
	}
	d.Interrupt()
	for range held {
		<-statuses
	}
}

// A parameter that is misspelled is refused: a filter must not be taken for none.
func TestParametersOfAdministrationAreStrict(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	admin := d.BackendKey("", authn.ScopeAdmin)
	for _, path := range []string{
		"/v1/accounts?need=unlock", "/v1/accounts?needs=help", "/v1/accounts?limit=0", "/v1/accounts?limit=1001", "/v1/accounts?limit=1&limit=2",
		"/v1/accounts?after=%00", "/v1/audit?after=x", "/v1/audit?after=-1", "/v1/audit?wait=2m", "/v1/audit?wait=-1s", "/v1/audit?wait=soon",
		"/v1/keys?after=x", "/v1/accounts?needs=%zz", "/v1/accounts/alice?needs=unlock",
	} {
		if got := d.Admin(admin, "GET", path, ""); got.Status != 400 || got.Code != 2102 {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	for what, got := range map[string]pimsdtest.Answer{
		"a change": d.Admin(admin, http.MethodPost, "/v1/accounts/alice?dryRun=true", `{"action":"disable"}`),
		"a key":    d.Admin(admin, http.MethodPost, "/v1/keys?dryRun=true", `{"kind":"backend","scope":"otp"}`),
		"revoking": d.Admin(admin, http.MethodDelete, "/v1/keys/"+strings.Split(admin, "_")[1]+"?dryRun=true", ""),
	} {
		if got.Status != 400 || got.Label != "Invalid dryRun parameter" {
			t.Errorf("%s: %d %s", what, got.Status, got.Body)
		}
	}
	if got := d.Admin(admin, http.MethodPut, "/v1/accounts/alice/device", "x", "Content-Type: application/octet-stream", "X: y",
		"content-type: application/json"); got.Status != 415 {
		t.Errorf("two content types: %d %s", got.Status, got.Body)
	}
}

// A key of an account does not administer, even where its stored form has the scope: a command of today would not make it.
func TestAnAccountsKeyNeverAdministers(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	key, text, err := authn.NewKey(authn.Grant{Account: "alice"}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	key.Scopes = authn.AllScopes()
	d.StoreKey(key)
	for _, path := range []string{"/v1/audit", "/v1/accounts", "/v1/keys"} {
		if got := d.Admin(text.Reveal(), "GET", path, ""); got.Status != 403 || got.Header.Get("X-Pims-Reason") != "insufficient_scope" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
}

// A line of the audit log comes to the administrators of its account. One that has no account, and one about a caller that was refused
// another's account, comes to those who administer the key that called, or that was created or revoked. No other prefix reads it.
func TestAuditLinesComeToThoseTheyConcern(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	first, second := d.BackendKey("fleet-", authn.ScopeAdmin, authn.ScopeOTP), d.BackendKey("fleet-", authn.ScopeAdmin)
	other, every := d.BackendKey("other", authn.ScopeAdmin), d.BackendKey("", authn.ScopeAdmin, authn.ScopeOTP)
	backend, account := d.BackendKey("fleet-1"), d.Key("fleet-1")
	nameOf := func(key string) string { return "key:" + strings.Split(key, "_")[1] }
	create := func(by string) string {
		key := resultOf[newKey](t, d.Admin(by, http.MethodPost, "/v1/keys", `{"kind":"backend","prefix":"fleet-1","scope":"otp"}`))
		return "key:" + key.ID
	}
	made, madeForUs := create(first), create(every)
	d.Admin(first, http.MethodDelete, "/v1/keys/"+strings.TrimPrefix(made, "key:"), "")
	d.Admin(backend, http.MethodGet, "/v1/accounts", "")
	d.Admin(account, http.MethodGet, "/v1/accounts", "")
	d.Ask(backend, pimsdtest.WithPIN(aPIN), "X-Pims-Account: other")
	d.Admin(first, http.MethodPost, "/v1/keys", `{"kind":"backend","scope":"otp"}`)
	d.Admin(other, http.MethodPost, "/v1/keys", `{"kind":"backend","scope":"otp"}`)
	d.Admin("unknown", http.MethodGet, "/v1/accounts", "")

	ours := []string{
		nameOf(first) + "  key-create " + made + " attempt", nameOf(first) + "  key-create " + made + " done",
		nameOf(every) + "  key-create " + madeForUs + " attempt", nameOf(every) + "  key-create " + madeForUs + " done",
		nameOf(first) + "  key-revoke " + made + " attempt", nameOf(first) + "  key-revoke " + made + " done",
		nameOf(backend) + "  accounts insufficient_scope", nameOf(account) + " fleet-1 accounts insufficient_scope",
		nameOf(first) + "  keys account_forbidden",
	}
	both := nameOf(backend) + " other otp account_forbidden"
	theirs := nameOf(other) + "  keys account_forbidden"
	linesFor := func(key string) (lines []string) {
		for _, line := range resultOf[auditPage](t, d.Admin(key, http.MethodGet, "/v1/audit?limit=1000", "")).Lines {
			lines = append(lines, line.Caller+" "+line.Account+" "+line.Action+" "+cmp.Or(line.Outcome, line.Stage))
		}
		slices.Sort(lines)
		return lines
	}
	all := slices.Concat(ours, []string{both, theirs, "unknown  accounts unauthenticated"})
	for len(linesFor(every)) < len(all) { // those of refused calls are written in the background
		time.Sleep(10 * time.Millisecond)
	}
	for key, want := range map[string][]string{
		every: all, first: append(slices.Clone(ours), both), second: append(slices.Clone(ours), both), other: {both, theirs},
	} {
		slices.Sort(want)
		if got := linesFor(key); !slices.Equal(got, want) {
			t.Errorf("%s reads\n%s\nand should read\n%s", nameOf(key), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
