package historytest

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// rows are the rows of a database, for an operator.
type rows struct {
	db          *sql.DB
	placeholder string // in a statement: "?", or "$%d"
}

// columns are all that a row has, but its account.
var columns = []string{"revision", "in_doubt", "held_until", "body", "vault", "unread_answers", "serial", "active", "epoch", "disabled"}

// at returns n placeholders, from the number first.
func (r rows) at(first, n int) string {
	texts := make([]string, n)
	for i := range texts {
		if texts[i] = r.placeholder; strings.Contains(r.placeholder, "%") {
			texts[i] = fmt.Sprintf(r.placeholder, first+i)
		}
	}
	return strings.Join(texts, ", ")
}

func (r rows) snapshot(t testing.TB, account otp.Account) snapshot {
	t.Helper()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	row := r.db.QueryRowContext(t.Context(), "SELECT "+strings.Join(columns, ", ")+" FROM device WHERE account = "+r.at(1, 1), string(account))
	switch err := row.Scan(into...); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		t.Fatal(err)
	}
	vault := slices.Index(columns, "vault")
	values[vault] = append([]byte{}, values[vault].([]byte)...) // nil is how a driver reads an empty one
	return values
}

func (r rows) restore(t testing.TB, account otp.Account, s snapshot) {
	t.Helper()
	_, err := r.db.ExecContext(t.Context(), "DELETE FROM device WHERE account = "+r.at(1, 1), string(account))
	must(t, err)
	values, ok := s.([]any)
	if !ok {
		return
	}
	insert := "INSERT INTO device (account, " + strings.Join(columns, ", ") + ") VALUES (" + r.at(1, 1+len(columns)) + ")"
	_, err = r.db.ExecContext(t.Context(), insert, append([]any{string(account)}, values...)...)
	must(t, err)
}
