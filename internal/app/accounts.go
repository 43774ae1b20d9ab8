package app

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// page is how many rows are read at a time.
const page = 500

// EachAccount calls do with the status of every account, in the order of their names, until one call fails.
func (c *Core) EachAccount(ctx context.Context, do func(otp.Status) error) error {
	var after otp.Account
	for {
		rows, now, err := c.listAccounts(ctx, after)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			status, err := c.OTP.StatusOf(row, now)
			if err == nil {
				err = do(status)
			}
			if err != nil {
				return err
			}
			after = row.Account
		}
	}
}

// listAccounts reads the next page of accounts, and the store's time. It takes no longer than one call of the store may.
func (c *Core) listAccounts(ctx context.Context, after otp.Account) ([]otp.Row, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := c.Store.List(ctx, after, page)
	if err != nil || len(rows) == 0 {
		return nil, time.Time{}, err
	}
	_, now, err := c.Store.Fetch(ctx, rows[0].Account)
	if err != nil && !errors.Is(err, otp.ErrSealed) {
		return nil, time.Time{}, err
	}
	return rows, now, nil
}
