package sqlite

import "testing"

// A checkpoint is complete when the whole log is written back and the next transaction can begin it again: not where a reader is behind, and
// not where one still reads the end of the log.
func TestCheckpointWithAReader(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	writeRow(t, s, 1)
	reader, err := openReadOnly(s.writer.path, withLog)
	if err == nil {
		err = reader.script("BEGIN; SELECT count(*) FROM device")
	}
	if err != nil {
		t.Fatal(err)
	}
	want := func(what, mode string, want bool) {
		t.Helper()
		onWriter(t, s, func(c *conn) {
			if complete, err := checkpoint(c, mode); err != nil || complete != want {
				t.Errorf("%s: complete %t, %v, want %t", what, complete, err, want)
			}
		})
	}
	want("a reader at the end of the log", passive, true)
	want("a reader at the end of a log that must begin again", restart, false)
	writeRow(t, s, 2)
	want("a reader that is behind", passive, false)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	want("no reader", restart, true)
}

// A rescue makes durable what is in the log, on a new connection: what the old one has read since a sync failed may not be on the disk.
func TestRescueWritesTheLogBack(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	writeRow(t, s, 1)
	onWriter(t, s, func(old *conn) {
		must(t, s.writer.sameStore())
		if s.writer.conn == old {
			t.Error("it goes on with the old connection")
		}
		if complete, err := checkpoint(s.writer.conn, `PRAGMA wal_checkpoint(NOOP)`); err != nil || !complete {
			t.Errorf("the log is written back: %t, %v", complete, err)
		}
	})
	writeRow(t, s, 1)
}
