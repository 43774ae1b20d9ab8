package sqlite

import (
	"bytes"
	"strings"
	"testing"
)

// A reader that does not end keeps the log from being written over, and the condition says so. Without one, the log does not grow.
func TestALogThatAReaderKeeps(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir()+"/data", builtIn())
	s.health.maxLog = 1 << 20
	revision := uint64(0)
	write := func() {
		revision++
		w := benchWrite(1, revision)
		w.Row.Body = bytes.Repeat([]byte{byte(revision)}, 400<<10)
		c := writing(w)
		if revision == 1 {
			c = writing(w)
		}
		if errs := together(t, s, c); errs[0] != nil {
			t.Fatal(errs[0])
		}
		writeBack(t, s)
	}
	for range 5 {
		write()
	}
	c := s.Condition(t.Context())
	if c.LogIsKept || len(c.Notes()) != 0 {
		t.Errorf("without a reader: %+v", c)
	}
	s.health.maxLog = c.LogBytes
	if s.Condition(t.Context()).LogIsKept {
		t.Errorf("a log of %d bytes, the largest that there is without a reader, is kept", c.LogBytes)
	}
	reader, err := openReadOnly(s.writer.path, withLog)
	if err == nil {
		err = reader.script("BEGIN; SELECT count(*) FROM device")
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		write()
	}
	c = s.Condition(t.Context())
	if !c.LogIsKept || !strings.Contains(strings.Join(c.Notes(), ""), "a reader keeps it") {
		t.Errorf("while a reader keeps the log: %+v", c)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		write()
	}
	if got := s.Condition(t.Context()).LogBytes; got > c.LogBytes+1<<20 {
		t.Errorf("without the reader the log has grown from %d to %d bytes", c.LogBytes, got)
	}
}
