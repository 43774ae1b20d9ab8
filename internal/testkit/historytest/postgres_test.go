package historytest

import (
	"database/sql"
	"errors"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver for an operator

	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// server is a store in a PostgreSQL server of its own.
type server struct {
	*postgres.Store
	rows
}

// preparePostgres starts a server and makes a database.
func preparePostgres(t *testing.T) func(t *testing.T) store {
	t.Helper()
	database := pgtest.New(t).Database(t)
	made, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: database})
	must(t, err)
	must(t, made.Close())
	return func(t *testing.T) store {
		opened, err := postgres.Open(t.Context(), postgres.Options{URL: database})
		must(t, err)
		db, err := sql.Open("pgx", database.Reveal())
		must(t, err)
		t.Cleanup(func() {
			if err := errors.Join(db.Close(), opened.Close()); err != nil {
				t.Error(err)
			}
		})
		return &server{opened, rows{db: db, placeholder: "$%d"}}
	}
}

func (*server) fill(testing.TB) {}
func (*server) heal(testing.TB) {}
