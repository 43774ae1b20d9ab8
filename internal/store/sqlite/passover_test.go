package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
)

// damageLeaf overwrites one page with rows of a table, which must have several of them, in a store that no process has open.
func damageLeaf(t *testing.T, dir, table string) {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	root := page(t, s, table)
	closeStore(t, s)
	content, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	const interior, firstCell = 5, 12 // the kind of a page, and where the place of its first cell is; a cell begins with a page's number
	for at := root; ; {
		p := content[at : at+pageSize]
		if p[0] != interior {
			if at == root {
				t.Fatalf("%s has only one page", table)
			}
			overwrite(t, dir, at)
			return
		}
		cell := binary.BigEndian.Uint16(p[firstCell:])
		at = (int64(binary.BigEndian.Uint32(p[cell:])) - 1) * pageSize
	}
}

// A page that is lost keeps no listing from the rows of the others, and no row that was on it is left out in silence.
func TestListingsWithDamagedPage(t *testing.T) {
	t.Parallel()
	const count = 120
	dir := filepath.Join(t.TempDir(), "data")
	s := openWith(t, dir, builtIn())
	for n := range count {
		key, _, err := authn.NewKey(authn.Grant{Account: "alice"}, time.UnixMicro(int64(n+1)), time.Time{})
		key.ID = fmt.Sprintf("key%03d", n)
		w := benchWrite(n, 1)
		w.Row.Account = otp.Account(fmt.Sprintf("account %03d", n))
		if err = errors.Join(err, s.AddKey(t.Context(), key), s.Create(t.Context(), w)); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	for _, table := range []string{"device", "audit", "api_key"} {
		damageLeaf(t, dir, table)
	}
	s = openDamaged(t, dir)

	rows, err := s.List(t.Context(), "", count+1)
	damaged := 0
	for n, row := range rows {
		if row.Account != otp.Account(fmt.Sprintf("account %03d", n)) {
			t.Errorf("row %d is that of %q", n, row.Account)
		}
		if len(row.Body) == 0 {
			damaged++
		}
	}
	if err != nil || len(rows) != count || damaged == 0 || damaged > count/2 {
		t.Fatalf("%d rows, of which %d are damaged, %v", len(rows), damaged, err)
	}
	if some, err := s.List(t.Context(), rows[1].Account, 3); err != nil || len(some) != 3 || some[0].Account != rows[2].Account {
		t.Errorf("the page after %q has %d rows, %v", rows[1].Account, len(some), err)
	}

	lines, err := s.AuditAfter(t.Context(), 0, count+1)
	damaged = 0
	for n, line := range lines {
		if line.ID != int64(n+1) {
			t.Errorf("line %d has the id %d", n+1, line.ID)
		}
		if line.Damage != "" {
			damaged++
		}
	}
	if err != nil || len(lines) != count || damaged == 0 || damaged > count/2 {
		t.Errorf("%d lines, of which %d are damaged, %v", len(lines), damaged, err)
	}

	keys, err := s.ListKeys(t.Context())
	whole := slices.DeleteFunc(slices.Clone(keys), func(key authn.Key) bool { return key.Damage != "" })
	if err != nil || len(keys) != count || len(whole) == count || len(whole) == 0 {
		t.Fatalf("%d keys, of which %d are whole, %v", len(keys), len(whole), err)
	}
	if err := s.RevokeKey(t.Context(), whole[len(whole)-1].ID, time.Now()); err != nil {
		t.Errorf("a key on another page is revoked: %v", err)
	}
	if err := s.Broken(); err != nil {
		t.Error(err)
	}
}
