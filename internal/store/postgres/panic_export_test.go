package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
)

// Panic has a verb of the store panic in the middle of its work on a connection, and returns the panic as an error.
func Panic(ctx context.Context, s *Store) error {
	return otp.CatchPanic(func() error {
		return s.run(ctx, s.limits.others, func(context.Context, *pgx.Conn) error { panic("in a verb") })
	})
}
