package app

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// Transfer says what TransferPrefix does.
type Transfer struct {
	URL    secret.Text // of the database that gets the accounts
	Prefix string
	Enable bool // has the accounts enabled there, each when its device is forgotten here
	Caller string
	// Progress is called with the number of accounts that have been transferred, and of all.
	Progress func(done, all int)
}

// transferStore is a PostgreSQL store.
type transferStore interface {
	Store
	AccountContents(ctx context.Context, account otp.Account) (postgres.AccountContents, error)
	AddAccount(ctx context.Context, c postgres.AccountContents, entry otp.AuditEntry) error
}

var (
	errNotInPostgres = errors.New("accounts are transferred from one PostgreSQL database to another: the store is an SQLite one, which " +
		"`pimsd store copy` without --prefix copies as a whole")
	errSameDatabase = errors.New("the URL names the database that the accounts are in, or a copy of it: name another database")
	errOlderKeys    = errors.New("it is sealed under another key than the current one: run `pimsd seal rotate` first")
	errOtherKeys    = errors.New("the two databases have their records sealed under different keys: give both services the same seal.keys")
)

// TransferPrefix transfers the accounts whose names begin with the prefix to another PostgreSQL database, with the API keys that are
// valid for no others, and returns their number. Both services may serve meanwhile. The accounts must be disabled; when one is not,
// nothing is transferred.
//
// No device is ever usable in both databases: the copy of an account is disabled, the device is forgotten here when the copy is durable
// and has been compared, and only then may the account be enabled there. Interrupted at any moment, TransferPrefix goes on when it
// is repeated.
func (c *Core) TransferPrefix(ctx context.Context, settings *config.Config, t Transfer) (accounts int, err error) {
	from, ok := c.Store.(*postgres.Store)
	if !ok {
		return 0, errNotInPostgres
	}
	to, err := openTarget(ctx, t.URL)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	here, err := from.Identity(ctx)
	if err != nil {
		return 0, err
	}
	there, err := to.Identity(ctx)
	if err != nil {
		return 0, err
	}
	if here == there {
		return 0, errSameDatabase
	}
	return newTransfer(from, to, limits(settings), t).run(ctx)
}

// openTarget opens the database that gets the accounts, and makes its tables if it has none. Those of an older schema it leaves to the
// service, whose replicas may be of an older version that does not understand them any more.
func openTarget(ctx context.Context, url secret.Text) (*postgres.Store, error) {
	to, err := postgres.Open(ctx, postgres.Options{URL: url})
	if errors.Is(err, otp.ErrNoStore) {
		to, err = postgres.OpenOrCreate(ctx, postgres.Options{URL: url})
	}
	if err != nil {
		return nil, fmt.Errorf("the database that gets the accounts: %w", err)
	}
	return to, nil
}

// transfer is a Transfer under way.
type transfer struct {
	Transfer
	from, to               transferStore
	serviceFrom, serviceTo *otp.Service
	epoch                  uint64 // of the target
	sealingKey             string // of both stores; empty: that of the first one is not recorded
}

func newTransfer(from, to transferStore, l otp.Limits, t Transfer) *transfer {
	return &transfer{
		Transfer: t, from: from, to: to,
		serviceFrom: otp.New(seal.NewUnopened(from), nil, l, nil), serviceTo: otp.New(seal.NewUnopened(to), nil, l, nil),
	}
}

func (t *transfer) run(ctx context.Context) (done int, err error) {
	if err := t.agreeOnSealingKey(ctx); err != nil {
		return 0, err
	}
	all, err := t.checkDisabled(ctx)
	switch {
	case err != nil:
		return 0, err
	case len(all) == 0:
		return 0, fmt.Errorf("no account has a name that begins with %q, and nothing was transferred", t.Prefix)
	}
	epoch, err := t.to.Epoch(ctx)
	if err != nil {
		return 0, err
	}
	t.epoch = epoch.Number
	if err := t.copyKeys(ctx); err != nil {
		return 0, err
	}
	return t.accounts(ctx, all)
}

// prefixRows returns the rows of the accounts whose names begin with the prefix.
func prefixRows(ctx context.Context, store Store, prefix string) iter.Seq2[otp.Row, error] {
	rows := paged(otp.Account(prefix).Before(), func(after otp.Account) ([]otp.Row, error) { return wholeRows(ctx, store, after) }, accountOf)
	return func(yield func(otp.Row, error) bool) {
		for row, err := range rows {
			if err == nil && !strings.HasPrefix(string(row.Account), prefix) || !yield(row, err) {
				return
			}
		}
	}
}

// checkDisabled returns the names of the accounts, which must all be disabled.
func (t *transfer) checkDisabled(ctx context.Context) (all []otp.Account, err error) {
	var enabled []otp.Account
	for row, err := range prefixRows(ctx, t.from, t.Prefix) {
		if err != nil {
			return nil, err
		}
		status, err := t.serviceFrom.StatusOf(row, time.Time{})
		if err == nil && t.isSealedElse(row) {
			err = fmt.Errorf("nothing was transferred, for account %q: %w", row.Account, errOlderKeys)
		}
		if err != nil {
			return nil, err
		}
		if all = append(all, row.Account); !status.Disabled {
			enabled = append(enabled, row.Account)
		}
	}
	if len(enabled) > 0 {
		return nil, fmt.Errorf("%d of %s must be disabled first, and nothing was transferred: run `pimsd account disable` for each, "+
			"beginning with %q", len(enabled), input.Count(len(all), "account"), enabled[0])
	}
	return all, nil
}

// copyKeys adds the API keys that are valid for no accounts but those of the prefix, and revokes there what was revoked here.
func (t *transfer) copyKeys(ctx context.Context) error {
	keys, err := t.from.ListKeys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.Damage != "" || !strings.HasPrefix(key.Account+key.Prefix, t.Prefix) { // a key has one of the two
			continue
		}
		if err := t.to.AddKey(ctx, key); err != nil && !errors.Is(err, authn.ErrKeyExists) {
			return err
		}
		if key.RevokedAt.IsZero() {
			continue
		}
		if err := t.to.RevokeKey(ctx, key.ID, key.RevokedAt); err != nil {
			return err
		}
	}
	return nil
}

// account transfers an account, or does what is left of it.
func (t *transfer) account(ctx context.Context, account otp.Account) error {
	here, err := t.from.AccountContents(ctx, account)
	if err != nil {
		return err
	}
	there, err := t.to.AccountContents(ctx, account)
	if errors.Is(err, otp.ErrNotFound) {
		there, err = t.copy(ctx, here)
	}
	if err != nil {
		return err
	}
	left, err := t.serviceFrom.StatusOf(here.Row, time.Time{})
	if err != nil {
		return err
	}
	if here.Row.Claim.Active || left.Activated || left.Enrollment != "" { // a device of an early version may not be claimed
		if err := t.move(ctx, here, there); err != nil {
			return err
		}
	}
	// A row there that has been written since it was copied was enabled, and perhaps disabled again, which is not undone.
	isAsCopied := there.Row.Revision <= here.Row.Revision
	if !t.Enable || !there.Row.Disabled || !isAsCopied {
		return nil
	}
	return t.serviceTo.Enable(ctx, otp.Request{Account: account, Caller: t.Caller})
}

// copy stores the account in the target, disabled, and returns what the target has then.
func (t *transfer) copy(ctx context.Context, here postgres.AccountContents) (there postgres.AccountContents, err error) {
	if t.isSealedElse(here.Row) {
		return there, errOlderKeys
	}
	_, now, err := t.from.Fetch(ctx, here.Row.Account)
	if err != nil {
		return there, err
	}
	copied := here
	if copied.Row, err = otp.Transferred(here.Row, now, t.epoch); err != nil {
		return there, err
	}
	entry := otp.AuditEntry{Account: here.Row.Account, Caller: t.Caller, Action: "transfer", Stage: otp.StageOutcome, Outcome: "received"}
	if err := t.to.AddAccount(ctx, copied, entry); err != nil {
		return there, err
	}
	return t.to.AccountContents(ctx, here.Row.Account)
}

// move forgets the device here, once it is certain that the target has it durably, as it is here, and that the account is disabled there.
func (t *transfer) move(ctx context.Context, here, there postgres.AccountContents) error {
	_, now, err := t.from.Fetch(ctx, here.Row.Account)
	if err != nil {
		return err
	}
	want, err := otp.Transferred(here.Row, now, there.Row.Epoch)
	if err != nil {
		return err
	}
	there.Row.StoreEpoch = otp.Epoch{}
	if !reflect.DeepEqual(want, there.Row) || !hasAll(there.Former, here.Former) {
		return errOtherRecord
	}
	if err := t.to.Writable(ctx); err != nil { // what is read may not be on a synchronous standby before a later write is
		return err
	}
	return t.serviceFrom.ForgetTransferred(ctx, otp.Request{Account: here.Row.Account, Caller: t.Caller}, here.Row.Revision)
}

// hasAll reports whether some has each of the former devices.
func hasAll(some, former []otp.Row) bool {
	has := map[string]otp.Row{}
	for _, row := range some {
		has[row.Claim.Serial] = row
	}
	for _, row := range former {
		if !reflect.DeepEqual(has[row.Claim.Serial], row) {
			return false
		}
	}
	return true
}
