package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

const heapPage = 8192

// damagePage overwrites the first page of a table.
func damagePage(t *testing.T, own *pgtest.Server, database secret.Text, tables ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, table := range tables {
		var file string
		err = errors.Join(err, conn.QueryRow(t.Context(), `SELECT pg_relation_filepath($1)`, table).Scan(&file))
		files = append(files, filepath.Join(own.Dir(), "data", file))
	}
	if err = errors.Join(err, conn.Close(t.Context()), own.Stop()); err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, heapPage), 0)
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := own.StartAgain(); err != nil {
		t.Fatal(err)
	}
}

// A page that is lost keeps no listing from the rows of the others, and no row that was on it is left out in silence.
func TestListingsWithDamagedPage(t *testing.T) {
	const count = 100
	own := ownServer(t)
	database := own.Database(t)
	store := open(t, database)
	name := func(n int) otp.Account { return otp.Account(fmt.Sprintf("fleet-%d/%03d", n%7, n)) }
	for n := range count {
		key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.UnixMicro(int64(n+1)), time.Time{})
		key.ID = fmt.Sprintf("key%03d", n)
		w := writeOf(name(n), 1)
		w.Row.Secrets = secret.NewBytes(make([]byte, 300))
		if err = errors.Join(err, store.AddKey(t.Context(), key), store.Create(t.Context(), w)); err != nil {
			t.Fatal(err)
		}
	}
	// The first line that is lost is not the next one, and others are missing in between.
	own.Exec(t, database.Reveal(), "DELETE FROM audit WHERE id < 10 OR id BETWEEN 20 AND 33")
	own.Exec(t, database.Reveal(), "VACUUM (INDEX_CLEANUP ON) audit")
	written, err := store.AuditAfter(t.Context(), 0, count)
	if err != nil || len(written) < count/2 {
		t.Fatalf("there are %d lines (%v)", len(written), err)
	}
	damagePage(t, own, database, "device", "audit", "api_key")
	store = open(t, database)

	rows, err := store.List(t.Context(), "", count+1)
	seen, damaged := map[otp.Account]bool{}, 0
	for n, row := range rows {
		if seen[row.Account] = true; n > 0 && row.Account <= rows[n-1].Account {
			t.Errorf("%q is listed after %q", row.Account, rows[n-1].Account)
		}
		if len(row.Body) == 0 {
			damaged++
		}
	}
	for n := range count {
		if !seen[name(n)] {
			t.Errorf("%q is not listed", name(n))
		}
	}
	if err != nil || len(rows) != count || damaged == 0 || damaged > count/2 {
		t.Fatalf("%d rows, of which %d are damaged, %v", len(rows), damaged, err)
	}
	for _, size := range []int{2, 5} { // of a page
		for n := 0; n < len(rows); n += size {
			after := otp.Account("")
			if n > 0 {
				after = rows[n-1].Account
			}
			page, err := store.List(t.Context(), after, size)
			last := page[max(0, len(page)-1):]
			if err != nil || len(page) != size || page[0].Account != rows[n].Account || last[0].Account != rows[n+size-1].Account {
				t.Errorf("the page of %d after %q has %d rows, %v", size, after, len(page), err)
			}
		}
	}

	lines, err := store.AuditAfter(t.Context(), 0, count+1)
	damaged = 0
	for n, line := range lines {
		if n < len(written) && line.ID != written[n].ID {
			t.Fatalf("line %d is listed instead of line %d", line.ID, written[n].ID)
		}
		if line.Damage != "" {
			damaged++
		}
	}
	if err != nil || len(lines) != len(written) || damaged == 0 || damaged == len(written) {
		t.Errorf("%d lines, of which %d are damaged, %v", len(lines), damaged, err)
	}

	keys, err := store.ListKeys(t.Context())
	damaged = 0
	for _, key := range keys {
		if key.Damage != "" {
			damaged++
		}
	}
	if err != nil || len(keys) != count || damaged == 0 || damaged == count {
		t.Errorf("%d keys, of which %d are damaged, %v", len(keys), damaged, err)
	}
}

// A store whose last audit lines are damaged is opened, so that everything else can be read.
func TestOpeningWithDamagedAuditPage(t *testing.T) {
	own := ownServer(t)
	database := own.Database(t)
	store := open(t, database)
	if err := store.Create(t.Context(), writeOf("alice", 1)); err != nil {
		t.Fatal(err)
	}
	damagePage(t, own, database, "audit")
	store = open(t, database)
	if row, _, err := store.Fetch(t.Context(), "alice"); err != nil || row.Revision != 1 {
		t.Errorf("the record is %+v, %v", row, err)
	}
	if lines, err := store.AuditAfter(t.Context(), 0, 10); err != nil || len(lines) != 1 || lines[0].Damage == "" {
		t.Errorf("the lines are %+v, %v", lines, err)
	}
}
