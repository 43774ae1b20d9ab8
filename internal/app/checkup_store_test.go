package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// A store with a damaged page fails the check, though it can be opened and takes writes.
func TestDamagedContentIsFound(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	store, err := sqlite.OpenOrCreate(t.Context(), sqlite.Options{Dir: c.DataDir})
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := inspectContent(t.Context(), c); got.Outcome != OutcomeOK {
		t.Errorf("of a good store: %+v", got)
	}
	const pageSize = 4096
	path := filepath.Join(c.DataDir, sqlite.FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[len(data)-pageSize:], bytes.Repeat([]byte{0xa5}, pageSize))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := inspectContent(t.Context(), c); got.Outcome != OutcomeFailed || !strings.Contains(got.Advice, "pimsd store restore") {
		t.Errorf("of a damaged store: %+v", got)
	}
	found, _ := inspectStore(t.Context(), c)
	if Passed(found) {
		t.Errorf("the check passes: %+v", found)
	}
}
