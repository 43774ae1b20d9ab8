package sqlite

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files reads what a process would leave in the data directory that is killed now.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	left := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, FileName+suffix))
		if err != nil {
			t.Fatal(err)
		}
		left[FileName+suffix] = data
	}
	return left
}

func put(t *testing.T, left map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range left {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// writeBack has a store write its log back between two transactions.
func writeBack(t *testing.T, s *Store) {
	t.Helper()
	onWriter(t, s, func(*conn) {
		if _, err := s.writer.writeBack(passive); err != nil {
			t.Error(err)
		}
	})
}

func writeRow(t *testing.T, s *Store, caller int) {
	t.Helper()
	n := revision(t, s, benchWrite(caller, 1).Row.Account)
	verb := s.Replace
	if n == 0 {
		verb = s.Create
	}
	if err := verb(t.Context(), benchWrite(caller, n+1)); err != nil {
		t.Fatal(err)
	}
}

// An older database, or a copy that SQLite has made, beside the log of a process that was killed is refused by everything that
// would open it, and nothing of either is changed. The right one is opened.
func TestOlderDatabaseWithNewerLog(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	older, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	s := openWith(t, dir, builtIn())
	copied := filepath.Join(t.TempDir(), "copy.db")
	execute(t, s, "VACUUM INTO ?", copied)
	written := writeUntilLogBeginsAgain(t, s, dir)
	left := files(t, dir)
	vacuumed, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	for name, replacement := range map[string][]byte{"an older one": older, "a copy": vacuumed} {
		wrong := maps.Clone(left)
		wrong[FileName] = replacement
		there := put(t, wrong)
		for verb, open := range map[string]func(context.Context, string) error{
			"Open":         func(ctx context.Context, dir string) error { return opened(Open(ctx, Options{Dir: dir})) },
			"OpenOrCreate": func(ctx context.Context, dir string) error { return opened(OpenOrCreate(ctx, Options{Dir: dir})) },
			"CheckUnused":  CheckUnused,
		} {
			err := open(t.Context(), there)
			if err == nil || !strings.Contains(err.Error(), "is not the database that") || !strings.Contains(err.Error(), "pimsd store restore") {
				t.Errorf("%s of %s says %v", verb, name, err)
			}
		}
		for file, data := range files(t, there) {
			if !bytes.Equal(data, wrong[file]) {
				t.Errorf("%s was changed", file)
			}
		}
	}
	again := openWith(t, put(t, left), builtIn())
	if got := revision(t, again, "account 2"); got != written {
		t.Errorf("the right one has revision %d, want %d", got, written)
	}
}

// writeUntilLogBeginsAgain writes rows, and the log back, until the log lacks what the database had before, and returns the revision of
// account 2. While another connection reads, SQLite appends to the log, however much of it is written back.
func writeUntilLogBeginsAgain(t *testing.T, s *Store, dir string) (written uint64) {
	t.Helper()
	salts := func() string {
		const from, to = 16, 24 // in the header of the log, which draws them each time that it begins
		header, err := os.ReadFile(filepath.Join(dir, FileName+"-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return string(header[from:to])
	}
	writeRow(t, s, 2)
	for first := salts(); salts() == first; {
		writeRow(t, s, 1)
		writeBack(t, s)
		writeRow(t, s, 2)
	}
	return revision(t, s, "account 2")
}

func opened(s *Store, err error) error {
	if err == nil {
		return s.Close()
	}
	return err
}

// Whatever several processes do, a store that is left is never taken for another one.
func TestRightDatabaseIsNeverRefused(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	random := rand.New(rand.NewPCG(1, 2))
	stores := []*Store{openWith(t, dir, builtIn()), openWith(t, dir, builtIn())}
	for step := range 150 {
		i := random.IntN(len(stores))
		switch random.IntN(4) {
		case 0, 1:
			writeRow(t, stores[i], random.IntN(3))
		case 2:
			writeBack(t, stores[i])
		case 3:
			closeStore(t, stores[i])
			stores[i] = openWith(t, dir, builtIn())
		}
		if err := checkPairing(filepath.Join(dir, FileName)); err != nil {
			t.Fatalf("step %d, while it is open: %v", step, err)
		}
		if _, err := os.Stat(filepath.Join(dir, FileName+"-wal")); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := checkPairing(filepath.Join(put(t, files(t, dir)), FileName)); err != nil {
			t.Fatalf("step %d, after a crash: %v", step, err)
		}
	}
}
