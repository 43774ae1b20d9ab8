package historytest

import (
	"context"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// store is a store on which histories happen, with what an operator and a disk can do to it.
type store interface {
	otp.Store
	AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error)
	// snapshot returns the account's row as it is, or nil when there is none.
	snapshot(t testing.TB, account otp.Account) snapshot
	// restore puts the snapshot in the place of the account's row, whatever that is; nil deletes the row.
	restore(t testing.TB, account otp.Account, s snapshot)
	// fill leaves no room on the disk until heal is called.
	fill(t testing.TB)
	// heal makes room.
	heal(t testing.TB)
}

// snapshot is a row as a backup has it.
type snapshot any

// kind is a kind of store, and the condition that it is in.
type kind struct {
	name string
	// prepare prepares what all stores of the kind share, outside of a bubble, and returns what opens one in a bubble.
	prepare func(t *testing.T) (open func(t *testing.T) store)
	// isDamaged: responses that are kept for repeated calls may be lost, and nothing else.
	isDamaged bool
}

// stores are all kinds. Pages of PostgreSQL are not corrupted: there is no page of it without which a settle can do.
var stores = []kind{
	{name: "memory", prepare: prepareMemory},
	{name: sqliteName, prepare: prepareHealthySQLite},
	{name: "PostgreSQL", prepare: preparePostgres},
	{name: "SQLite, corrupt page of answer", prepare: prepareDamagedSQLite("answer"), isDamaged: true},
	{name: "SQLite, corrupt page of answer_at", prepare: prepareDamagedSQLite("answer_at"), isDamaged: true},
	{name: "SQLite, corrupt page of answer_unspent", prepare: prepareDamagedSQLite("answer_unspent"), isDamaged: true},
}

// memory has no disk that could be full, and no pages.
type memory struct{ *storetest.Memory }

func prepareMemory(*testing.T) func(*testing.T) store {
	m := memory{storetest.NewMemory()}
	return func(*testing.T) store { return m }
}

func (m memory) snapshot(t testing.TB, account otp.Account) snapshot {
	rows, err := m.List(t.Context(), "", 1<<20)
	must(t, err)
	for _, row := range rows {
		if row.Account == account {
			return row
		}
	}
	return nil
}

func (m memory) restore(_ testing.TB, account otp.Account, s snapshot) {
	if row, ok := s.(otp.Row); ok {
		m.Restore(row)
	} else {
		m.Delete(account)
	}
}

func (memory) fill(testing.TB) {}
func (memory) heal(testing.TB) {}
