package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How long a start looks over a store at most. What is damaged beyond that is found by the calls that meet it.
const (
	verifyTimeout       = 30 * time.Second // of a store that was not closed
	verifyClosedTimeout = 5 * time.Second
)

// verifyFirst is up to which size, in bytes, a store that was closed is looked over before it is served: that of 60,000 accounts.
const verifyFirst = 64 << 20

// mayVerifyLater reports whether a store is looked over while it serves: one that was closed, is too large to have its callers wait, and is
// not to be migrated.
func (m migrations) mayVerifyLater(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= verifyFirst || hasLog(path) {
		return false
	}
	c, err := openReadOnly(path, "")
	if err != nil {
		return false
	}
	defer c.Close() //nolint:errcheck // it was only read
	return m.check(c, path) == nil
}

// verifyMeanwhile looks the store over, for verifyTimeout at most. Condition says what is found.
func (s *Store) verifyMeanwhile() {
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	s.endVerify, s.verified = cancel, make(chan struct{})
	go func() {
		defer close(s.verified)
		damage, _, err := Verify(ctx, filepath.Dir(s.writer.path))
		if damage == "" && !isDamage(err) {
			return
		}
		found := "the store is damaged: " + cmp.Or(damage, "it cannot be read")
		s.health.damage.CompareAndSwap(nil, &found)
		s.health.met.Store(true)
	}()
}

// stopVerifying ends what verifyMeanwhile has begun, if it has.
func (s *Store) stopVerifying() {
	if s.verified != nil {
		s.endVerify()
		<-s.verified
	}
}

// irreplaceable are the tables that are not served when they are damaged; what else there is can be done without.
func irreplaceable() []string { return []string{"device", "audit", "api_key", "sealing_key", "store"} }

// verify looks over a store before it is served. It refuses one that is damaged where nothing can replace it, and leaves its files as
// they are; remark says what else there is to know. A store that has a log perhaps was not closed, and is looked at for longer.
func verify(ctx context.Context, path string, timeout time.Duration) (remark string, err error) {
	state := "was not closed, and is"
	if !hasLog(path) {
		state, timeout = "is", min(timeout, verifyClosedTimeout)
	}
	c, err := openReadOnly(path, "")
	if err != nil {
		return "", nil // SQLite will say what is wrong when it is opened for writing
	}
	defer c.Close() //nolint:errcheck // it was only read
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	damage, err := quickCheck(bounded, c, "")
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case bounded.Err() != nil && state == "is":
		return "", nil
	case bounded.Err() != nil:
		return fmt.Sprintf("the store was not closed, and is too large to be verified within %v: it was not found damaged so far", timeout), nil
	case err == nil && damage == "":
		return "", nil
	case err != nil && !isDamage(err):
		return "", nil // as above
	case err != nil:
		damage = err.Error()
	}
	switch found := checkTables(bounded, c, irreplaceable()); {
	case found != "":
		return "", fmt.Errorf("%s %s damaged (%s). Nothing was changed: restore a backup with "+
			"`pimsd store restore FILE`; or see what `sqlite3 %[1]s .recover` can save", path, state, found)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case bounded.Err() != nil:
		return fmt.Sprintf("the store is damaged, perhaps where it can be done without, and is too large to be verified within %v: %s",
			timeout, damage), nil
	}
	return "the store is damaged, where it can be done without: " + damage, nil
}

// Verify returns what a look over the store in the data directory, which must be there, finds damaged; nothing is changed, and the
// service may serve meanwhile. complete is false when ctx has ended before everything was looked at.
func Verify(ctx context.Context, dir string) (damage string, complete bool, err error) {
	path, err := findDatabase(dir)
	if err != nil {
		return "", false, err
	}
	c, err := openReadOnly(path, "")
	if err != nil {
		return "", false, err
	}
	defer c.Close() //nolint:errcheck // it was only read
	damage, err = quickCheck(ctx, c, "")
	switch {
	case ctx.Err() != nil:
		return damage, false, nil // it was not found damaged so far
	case isDamage(err):
		tables, err := all(c, readName, "SELECT name FROM sqlite_schema WHERE type = 'table'")
		if err != nil {
			return err.Error(), true, nil
		}
		return checkTables(ctx, c, tables), true, nil
	}
	return damage, err == nil, err
}

// quickCheck returns the first lines of what SQLite finds damaged, of the whole database or of one table, with the names of
// tables and indexes.
func quickCheck(ctx context.Context, c *conn, table string) (damage string, err error) {
	const most = 3
	defer c.interruptedBy(ctx)()
	_, _ = c.exec(smallCache) // the check says what is wrong with the schema
	names := map[string]string{}
	_ = c.query(func(r *row) { names[r.anything()] = r.text() + " " + r.text() },
		"SELECT rootpage, type, name FROM sqlite_schema WHERE rootpage > 0")
	lines, err := all(c, readName, fmt.Sprintf("PRAGMA quick_check%s", table))
	var found []string
	for _, line := range lines {
		if line != "ok" && len(found) < most {
			found = append(found, named(line, names))
		}
	}
	return strings.Join(found, "; "), err
}
