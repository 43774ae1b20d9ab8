package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// The routes of administration (docs/contract.md §4), as events name them.
const (
	RouteAccounts   = "/v1/accounts"
	RouteOneAccount = "/v1/accounts/{account}"
	RouteDevice     = "/v1/accounts/{account}/device"
	RouteKeys       = "/v1/keys"
	RouteOneKey     = "/v1/keys/{id}"
	RouteAudit      = "/v1/audit"
)

// MaxDeviceFile is the longest device file that is read, in bytes.
const MaxDeviceFile = 64 << 10

// Why a device file is refused. An error that wraps one of them may say more, for the log.
var (
	ErrDeviceFile    = errors.New("the body is no device file that can be imported")
	ErrForeignDevice = errors.New("the device belongs to another white-label service")
)

// AdminAccounts changes accounts; *otp.Service does.
type AdminAccounts interface {
	Status(ctx context.Context, account otp.Account) (otp.Status, error)
	Unlock(ctx context.Context, ask otp.Request) error
	Doubt(ctx context.Context, ask otp.Request) error
	Disable(ctx context.Context, ask otp.Request) error
	Enable(ctx context.Context, ask otp.Request) error
	ForgetDisabled(ctx context.Context, ask otp.Request) error
}

// AdminStore lists what is stored, and changes what is no account's.
type AdminStore interface {
	// AccountsAfter returns the accounts after the given one in the order of their names, at most limit.
	AccountsAfter(ctx context.Context, after otp.Account, limit int) ([]ListedAccount, error)
	// ImportDevice makes the device in a file the account's own, or only checks that it could be when dryRun is set. An error
	// about the file wraps ErrDeviceFile or ErrForeignDevice.
	ImportDevice(ctx context.Context, ask otp.Request, file secret.Bytes, dryRun bool) (ImportedDevice, error)

	ListKeys(ctx context.Context) ([]authn.Key, error)
	CreateKey(ctx context.Context, ask otp.Request, key authn.Key) error
	RevokeKey(ctx context.Context, ask otp.Request, key authn.Key, at time.Time) error

	// AuditAfter returns the lines of the audit log after the given one, at most limit.
	AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error)
}

// ListedAccount is an account in a listing.
type ListedAccount struct {
	otp.Status

	Unreadable bool // its record cannot be read: nothing is known but Account, Disabled and InDoubt
}

// needs returns what the account waits for.
func (l ListedAccount) needs() []otp.Need {
	if l.Unreadable {
		return []otp.Need{otp.NeedRepair}
	}
	return l.Needs()
}

// has reports whether the account waits for that, or need is empty. An account whose record cannot be read may wait for anything.
func (l ListedAccount) has(need otp.Need) bool {
	return need == "" || l.Unreadable || slices.Contains(l.needs(), need)
}

// ImportedDevice describes a device that was imported.
type ImportedDevice struct {
	Client   string   `json:"client"`   // that saved it, in words
	Services []string `json:"services"` // names of those that it makes OTPs for
	HasPIN   bool     `json:"hasPin"`   // the file has the PIN
}

// administration answers the calls of administration.
type administration struct {
	*API

	accounts AdminAccounts
	store    AdminStore
	polls    *admission.Gate // of long polls
}

// NewAdmin returns the handler of administration. Its Config needs no OTPs, Accounts and Fingerprints. Its Callers must know API
// keys alone: no token administers anything.
func NewAdmin(config Config, accounts AdminAccounts, store AdminStore) *API {
	a := newAPI(config)
	ad := &administration{API: a, accounts: accounts, store: store, polls: admission.NewGate(maxPolls, 0, 0)}
	for _, r := range []struct {
		method, route string
		longest       int64 // body, in bytes
		handler       handler
	}{
		{http.MethodGet, RouteAccounts, maxBody, ad.listAccounts},
		{http.MethodGet, RouteOneAccount, maxBody, ad.showAccount},
		{http.MethodPost, RouteOneAccount, maxBody, ad.changeAccount},
		{http.MethodPut, RouteDevice, MaxDeviceFile, ad.importDevice},
		{http.MethodGet, RouteKeys, maxBody, ad.listKeys},
		{http.MethodPost, RouteKeys, maxBody, ad.createKey},
		{http.MethodDelete, RouteOneKey, maxBody, ad.revokeKey},
		{http.MethodGet, RouteAudit, maxBody, ad.readAudit},
	} {
		a.handle(r.method, r.route, r.longest, r.handler)
	}
	return a
}

// admitAdmin returns the caller, who administers the accounts of its prefix, and takes a place.
func (ad *administration) admitAdmin(c *call) (authn.Principal, error) {
	principal, err := ad.authenticate(c, authn.ScopeAdmin, noneNamed)
	if err != nil {
		return authn.Principal{}, err
	}
	return principal, ad.acquirePlace(c)
}

// admitFor is admitAdmin for the account in the path, which the event then has. parse is otp.ParseStoredAccount, or
// otp.ParseAccount where the account may come into being.
func (ad *administration) admitFor(c *call, parse func(string) (otp.Account, error)) error {
	name, errName := pathParameter(c.request, "account")
	account, errParse := parse(name)
	principal, err := ad.authenticate(c, authn.ScopeAdmin, func(authn.Principal) string { return string(account) })
	switch {
	case err != nil:
		return err
	case errName != nil:
		return errName
	case errParse != nil:
		return &fault{errInvalid, "account"}
	case !principal.IncludesAccount(name):
		return authn.ErrAccountForbidden
	}
	return ad.acquirePlace(c)
}

// pathParameter returns a parameter of the path, which may contain any character when it is percent-encoded.
func pathParameter(r *http.Request, name string) (string, error) {
	text := chi.URLParam(r, name)
	if r.URL.RawPath == "" { // the router has matched the decoded path
		return text, nil
	}
	text, err := url.PathUnescape(text)
	if err != nil {
		return "", &fault{errInvalid, name}
	}
	return text, nil
}

// queryOf returns the parameters of the query, each of which must be one of names and be given once at most. A misspelled filter
// must not be taken for none.
func queryOf(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &fault{errInvalid, "query"}
	}
	for name, given := range values {
		if !slices.Contains(names, name) {
			return nil, &fault{errUnknownName, name}
		}
		if len(given) > 1 {
			return nil, &fault{errInvalid, name}
		}
	}
	return values, nil
}

// readRequest returns the request in the body of a call whose query has no parameters.
func readRequest[Req any](ad *administration, c *call) (Req, error) {
	var none Req
	body, err := readBody(c)
	if err != nil {
		return none, err
	}
	if _, err := queryOf(c.request); err != nil {
		return none, err
	}
	return bind[Req](ad.rules, body)
}

// Bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000
	// maxScan is how many rows one request looks at when a filter leaves most of them out. The caller goes on from there.
	maxScan = 10_000
)

// limitIn reads the parameter limit.
func limitIn(query url.Values) (int, error) {
	if !query.Has("limit") {
		return defaultPage, nil
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > maxPage {
		return 0, &fault{errInvalid, "limit"}
	}
	return limit, nil
}
