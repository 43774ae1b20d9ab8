package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

// Condition is what an operator should know of a store that serves.
type Condition struct {
	// Older says that the store was older than the one that the data directory had last when it was opened. It is empty otherwise.
	Older string
	// Unverified is what the start could not verify, or found damaged, after an unclean end. It is empty otherwise.
	Unverified string
	// Damage names what is damaged, once a statement has met it. It is empty while none has.
	Damage string
	// ResponsesLost counts the stored responses that were left out of their settles, because of damage or a full disk.
	ResponsesLost uint64
	// SettlesByScan counts the settles that were stored without an index of the records, because it is damaged.
	SettlesByScan uint64
	// SettlesUnlogged counts the settles that were stored without their audit lines, because the audit log is damaged.
	SettlesUnlogged uint64
	// LogBytes is the size of the write-ahead log.
	LogBytes int64
	// LogIsKept reports whether the write-ahead log is larger than it grows by itself: a reader that does not end keeps it.
	LogIsKept bool
	// LastBackup is when the last backup was made, as RecordBackup recorded it. It is zero when there is none.
	LastBackup time.Time
}

// maxLog is the size beyond which a write-ahead log is kept by a reader: otherwise it is written back after checkpointEvery
// writes, and cut off at journal_size_limit.
const maxLog = 128 << 20

// Notes returns what there is to note, each in a sentence.
func (c Condition) Notes() []string {
	var notes []string
	for _, note := range []string{c.Older, c.Unverified, c.Damage} {
		if note != "" {
			notes = append(notes, note)
		}
	}
	if c.ResponsesLost > 0 {
		notes = append(notes, input.Count(c.ResponsesLost, "response")+" of repeatable calls could not be stored")
	}
	if c.SettlesByScan > 0 {
		notes = append(notes, "stored without a damaged index: "+input.Count(c.SettlesByScan, "answer")+" of inWebo")
	}
	if c.SettlesUnlogged > 0 {
		notes = append(notes, "stored without lines in the damaged audit log: "+input.Count(c.SettlesUnlogged, "answer")+" of inWebo")
	}
	if c.LogIsKept {
		notes = append(notes, fmt.Sprintf("the write-ahead log has %d MiB, because a reader keeps it", c.LogBytes>>20))
	}
	return notes
}

// Condition returns the condition of the store. When a statement has met damage, the first call looks for what is damaged, until
// ctx ends.
func (s *Store) Condition(ctx context.Context) Condition {
	h := s.health
	if h.met.Load() && h.damage.Load() == nil {
		damage := s.findDamage(ctx)
		h.damage.CompareAndSwap(nil, &damage)
	}
	c := Condition{
		Older: h.older, Unverified: h.unverified, ResponsesLost: h.responsesLost.Load(), SettlesByScan: h.settlesByScan.Load(),
		SettlesUnlogged: h.settlesUnlogged.Load(),
		LastBackup:      lastBackup(filepath.Dir(s.writer.path)),
	}
	if damage := h.damage.Load(); damage != nil {
		c.Damage = *damage
	}
	if info, err := os.Stat(s.writer.path + "-wal"); err == nil {
		c.LogBytes, c.LogIsKept = info.Size(), info.Size() > h.maxLog
	}
	return c
}

// findDamage looks the database over, and says what it found.
func (s *Store) findDamage(ctx context.Context) string {
	const unnamed = "a part of the store is damaged"
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	found, err := runWithin(ctx, func() (string, error) {
		damage, complete, err := Verify(ctx, filepath.Dir(s.writer.path))
		if damage == "" && !complete {
			err = errors.Join(err, ctx.Err())
		}
		return damage, err
	})
	switch {
	case err != nil:
		return unnamed + ", and could not be found: " + err.Error()
	case found == "":
		return unnamed + ", and was not found again"
	}
	return "the store is damaged: " + found
}

// checkTables is quickCheck of one table after the other. What was not looked at when ctx ends is not damaged: to be slow is no damage.
func checkTables(ctx context.Context, c *conn, tables []string) (damage string) {
	var found []string
	for _, table := range tables {
		damage, err := quickCheck(ctx, c, "('"+table+"')")
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			damage = "table " + table + ": " + err.Error()
		}
		if damage != "" {
			found = append(found, damage)
		}
	}
	return strings.Join(found, "; ")
}

// treePattern finds the number by which SQLite names a table or an index that is damaged: that of its root page.
var treePattern = regexp.MustCompile(`Tree (\d+) `)

// named returns a line of quick_check with the name of its table or index.
func named(line string, names map[string]string) string {
	if found := treePattern.FindStringSubmatch(line); found != nil && names[found[1]] != "" {
		return names[found[1]] + ": " + line
	}
	return strings.TrimPrefix(line, "*** in database main ***\n")
}

func readName(r *row) (string, error) { return r.text(), r.err }
