package sqlite

import "fmt"

// save writes the log back into the database when there is enough of it, and tries again after the next transaction when readers were
// in the way, or another process that writes. SQLite would do the same by itself, but keep to itself when a sync has failed. While there
// is no reserve, it returns the room of the log away, too.
//
// A passive checkpoint holds up no other process. But while another one writes, it adds to the log before the next transaction can
// begin it again: the log would grow for as long as both write. So what is left is written back while no other process can write.
func (w *writer) save(writes int) {
	w.unsaved += writes
	modes := []string{passive, restart}
	if w.reserve.missing.Load() {
		modes = []string{truncate}
	} else if w.unsaved < checkpointEvery {
		return
	}
	complete := false
	for _, mode := range modes {
		if w.health.refusal() != nil {
			return
		}
		var err error
		complete, err = w.writeBack(mode)
		w.health.record(err)
	}
	if complete {
		w.unsaved = 0
	}
}

// writeBack makes a checkpoint. After a complete one, the next transaction begins the log again.
func (w *writer) writeBack(mode string) (complete bool, err error) {
	version, err := dataVersion(w.conn)
	if err != nil {
		return false, err
	}
	complete, err = checkpoint(w.conn, mode)
	if complete {
		w.renewal.prepare(version)
	}
	return complete, err
}

// How a checkpoint is made. The writer's connection waits for others in none.
const (
	passive  = `PRAGMA wal_checkpoint(PASSIVE)`  //nolint:gosec // no credential
	restart  = `PRAGMA wal_checkpoint(RESTART)`  // no other process writes meanwhile
	truncate = `PRAGMA wal_checkpoint(TRUNCATE)` // the same, and cuts the log off
)

// checkpoint writes as much of the log back into the database as readers allow, and syncs it; complete reports whether
// that was all, so that the next transaction can write the log from its beginning.
func checkpoint(c *conn, mode string) (complete bool, err error) {
	complete, _, err = one(c, func(r *row) bool {
		busy, inLog, written := r.integer(), r.integer(), r.integer()
		return busy == 0 && inLog == written
	}, mode)
	if err != nil {
		return false, fmt.Errorf("write the log back into the database: %w", err)
	}
	return complete, nil
}
