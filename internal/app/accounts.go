package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

// page is how many rows are read at a time, and how many accounts are counted between two pauses.
const page = 256

// UnreadableError reports records that cannot be read.
type UnreadableError struct {
	Records []Unreadable
}

// Unreadable is a record that cannot be read, and why.
type Unreadable struct {
	Account otp.Account
	Err     error
}

// Error names each record on a line of its own.
func (e *UnreadableError) Error() string {
	lines := []string{input.Count(len(e.Records), "record") + " cannot be read:"}
	for _, record := range e.Records {
		lines = append(lines, "  "+record.Err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns why each record cannot be read.
func (e *UnreadableError) Unwrap() []error {
	reasons := make([]error, len(e.Records))
	for i, record := range e.Records {
		reasons[i] = record.Err
	}
	return reasons
}

// EachAccount calls do with the status of every account, in the order of their names, until one call fails. The status of an account
// whose record cannot be read has otp.StateUnreadable. Where there are such records, the error is an *UnreadableError at the end.
func (c *Core) EachAccount(ctx context.Context, do func(otp.Status) error) error {
	var now time.Time // of the store, when the page was read
	rows := paged(otp.Account(""), func(after otp.Account) (rows []otp.Row, err error) {
		rows, now, err = c.listRows(ctx, after, page)
		return rows, err
	}, accountOf)
	var unreadable []Unreadable
	for row, err := range rows {
		if err != nil {
			return err
		}
		status, err := c.OTP.StatusOf(row, now)
		if err != nil {
			unreadable = append(unreadable, Unreadable{row.Account, err})
		}
		if err := do(status); err != nil {
			return err
		}
	}
	if len(unreadable) > 0 {
		return &UnreadableError{unreadable}
	}
	return nil
}

// CountDoubt counts the devices in doubt, by reading all accounts. Its errors are those of EachAccount. With an *UnreadableError, the
// count is complete: it has the devices of records that cannot be read.
func (c *Core) CountDoubt(ctx context.Context) (count int, err error) {
	err = c.EachAccount(ctx, func(status otp.Status) error {
		if status.InDoubt {
			count++
		}
		return nil
	})
	return count, err
}

// AccountsAfter is as api.AdminStore says.
func (c *Core) AccountsAfter(ctx context.Context, after otp.Account, limit int) ([]api.ListedAccount, error) {
	rows, now, err := c.listRows(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("%w: list accounts: %w", otp.ErrStore, err)
	}
	all := make([]api.ListedAccount, len(rows))
	for i, row := range rows {
		status, err := c.OTP.StatusOf(row, now)
		all[i] = api.ListedAccount{Status: status, Unreadable: err != nil}
	}
	return all, nil
}

// listRows reads the rows of the next accounts, and the store's time. It takes no longer than one call of the store may.
func (c *Core) listRows(ctx context.Context, after otp.Account, limit int) (rows []otp.Row, now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err = c.Store.List(ctx, after, limit)
	if err != nil || len(rows) == 0 {
		return nil, now, err
	}
	_, now, err = c.Store.Fetch(ctx, noAccount) // a record that is there may be damaged
	if err != nil && !errors.Is(err, otp.ErrNotFound) {
		return nil, now, err
	}
	return rows, now, nil
}
