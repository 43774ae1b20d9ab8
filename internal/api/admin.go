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

// NewAdmin returns the handler of administration. Its Config needs no Accounts and Fingerprints. Its Callers must know API
// keys alone: no token administers anything.
func NewAdmin(config Config, accounts AdminAccounts, store AdminStore) *API {
	a := newAPI(config)
	ad := &administration{API: a, accounts: accounts, store: store, polls: admission.NewGate(maxPolls, 0, 0)}
	for _, r := range []adminRoute{
		{method: http.MethodGet, route: RouteAccounts, query: []string{"after", "limit", "needs"}, do: ad.listAccounts},
		{method: http.MethodGet, route: RouteOneAccount, of: otp.ParseStoredAccount, do: ad.showAccount},
		{method: http.MethodPost, route: RouteOneAccount, of: otp.ParseStoredAccount, read: readJSON, do: ad.changeAccount},
		{method: http.MethodPut, route: RouteDevice, of: otp.ParseAccount, read: readOctets, query: []string{"dryRun"}, do: ad.importDevice},
		{method: http.MethodGet, route: RouteKeys, do: ad.listKeys},
		{method: http.MethodPost, route: RouteKeys, read: readJSON, do: ad.createKey},
		{method: http.MethodDelete, route: RouteOneKey, do: ad.revokeKey},
		{method: http.MethodGet, route: RouteAudit, query: []string{"after", "limit", "wait"}, polls: true, do: ad.readAudit},
	} {
		longest := int64(maxBody)
		if r.route == RouteDevice {
			longest = MaxDeviceFile
		}
		a.handle(r.method, r.route, longest, ad.checked(r))
	}
	return a
}

// adminRoute is a call of administration.
type adminRoute struct {
	method, route string
	of            func(string) (otp.Account, error) // parses the account in the path; nil: the call is about none
	read          func(c *call) error               // checks the body; nil: none is read
	query         []string                          // the parameters that there may be
	polls         bool                              // it takes a place itself, unless it polls
	do            func(c *adminCall) (any, error)
}

// adminCall is a call whose caller administers what it is about, and whose query is known.
type adminCall struct {
	*call

	principal authn.Principal
	query     url.Values
}

// checked puts a call of administration behind the checks that all of them have, in the order in which docs/contract.md §1 names faults.
func (ad *administration) checked(r adminRoute) handler {
	return func(c *call) (any, error) {
		principal, err := ad.admitAdmin(c, r.of)
		if err == nil && !r.polls {
			err = ad.acquirePlace(c)
		}
		if err == nil && r.read != nil {
			err = r.read(c)
		}
		if err != nil {
			return nil, err
		}
		query, err := queryOf(c.request, r.query...)
		if err != nil {
			return nil, err
		}
		return r.do(&adminCall{c, principal, query})
	}
}

func readJSON(c *call) error {
	_, err := readBody(c)
	return err
}

func readOctets(c *call) error {
	if !hasMediaType(c.request, "application/octet-stream") {
		return errNotOctets
	}
	return c.wholeBody()
}

// admitAdmin returns the caller, who administers the accounts of its prefix. Where the call is about the account in the path, parse reads
// its name, and the event has it.
func (ad *administration) admitAdmin(c *call, parse func(string) (otp.Account, error)) (authn.Principal, error) {
	if parse == nil {
		return ad.authenticate(c, authn.ScopeAdmin, noneNamed)
	}
	name, errName := pathParameter(c.request, "account")
	account, errParse := parse(name)
	principal, err := ad.authenticate(c, authn.ScopeAdmin, func(authn.Principal) string { return string(account) })
	switch {
	case err != nil:
		return principal, err
	case errName != nil:
		return principal, errName
	case errParse != nil:
		return principal, &fault{errInvalid, "account"}
	case !principal.IncludesAccount(name):
		return principal, authn.ErrAccountForbidden
	}
	return principal, nil
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

// Bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000
	// maxScan is how many rows one request looks at when a filter leaves most of them out. The caller goes on from there.
	maxScan = 10_000
)

// limit reads the parameter limit.
func (c *adminCall) limit() (int, error) {
	n, err := c.number("limit", defaultPage, 1, maxPage)
	return int(n), err
}

// number reads a parameter that is a number from least to most; usual, if it is not there.
func (c *adminCall) number(name string, usual, least, most int64) (int64, error) {
	if !c.query.Has(name) {
		return usual, nil
	}
	n, err := strconv.ParseInt(c.query.Get(name), 10, 64)
	if err != nil || n < least || n > most {
		return 0, &fault{errInvalid, name}
	}
	return n, nil
}
