package app

import (
	"context"
	"errors"

	"github.com/pimsd/pimsd/internal/otp"
)

// page is how many rows are read at a time.
const page = 500

// EachAccount calls do with the status of every account, in the order of their names, until one call fails.
func (c *Core) EachAccount(ctx context.Context, do func(otp.Status) error) error {
	var after otp.Account
	for {
		rows, err := c.Store.List(ctx, after, page)
		if err != nil || len(rows) == 0 {
			return err
		}
		_, now, err := c.Store.Fetch(ctx, rows[0].Account)
		if err != nil && !errors.Is(err, otp.ErrSealed) {
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
