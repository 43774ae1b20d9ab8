package seal_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// twins are two keys with the same name, 9d959ecc: a name has 32 bits, and so such pairs are found in a second.
func twins() (one, other string) {
	line := func(n int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%032d", n)) }
	return line(75879), line(104173)
}

// A file that lacks the key which seals here is not this store's: a record that was sealed under its keys would be lost
// when the right file is back.
func TestFileWithoutTheCurrentKeyIsNotTakenOver(t *testing.T) {
	t.Parallel()
	twin, otherTwin := twins()
	for name, tc := range map[string]struct {
		before, after string
		says          string
		lacks         bool // the file can be read, and lacks the current key
	}{
		"a foreign file":                     {line(1), line(9), "lacks key", true},
		"an older backup":                    {line(2) + "\n" + line(1), line(1), "lacks key", true},
		"the same name and another key":      {twin, otherTwin, "another key under the name 9d959ecc", true},
		"an old key that became another one": {line(1) + "\n" + twin, line(1) + "\n" + otherTwin, "another key under the name 9d959ecc", true},
		"emptied":                            {line(1), "", "has no sealing key", true},
		"without its first line":             {line(2) + "\n" + line(1), "# keys\n" + line(1), "lacks key", true},
		"cut within the first line":          {line(1) + "\n" + line(2), line(1)[:20], "line 1 is not a sealing key", false},
		"cut within the second line":         {line(1) + "\n" + line(2), line(1) + "\n" + line(2)[:20], "line 2 is not a sealing key", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), seal.FileName)
				must(t, withText(tc.before)(path))
				keyring := openFile(t, path, false)
				keys, sealed := keyring.Keys(), keyring.Seal(seal.Secrets, "alice", vault("x"))
				must(t, keyring.Fault())

				must(t, withText(tc.after)(path))
				time.Sleep(time.Second)
				err := keyring.Fault()
				if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), path) ||
					errors.Is(err, seal.ErrCurrentKeyMissing) != tc.lacks {
					t.Errorf("Fault returns %v, want one that says %q", err, tc.says)
				}
				if !slices.Equal(keyring.Keys(), keys) {
					t.Errorf("the keys became %v, and were %v", keyring.Keys(), keys)
				}
				if _, err := keyring.Open(seal.Secrets, "alice", sealed); err != nil {
					t.Errorf("what was sealed before does not open: %v", err)
				}
				if header := keyring.Seal(seal.Secrets, "alice", vault("x"))[:5]; string(header) != string(sealed[:5]) {
					t.Error("another key seals now")
				}

				must(t, withText(tc.before)(path))
				time.Sleep(time.Second)
				must(t, keyring.Fault())
			})
		})
	}
}

// A file that is not there, or not readable, for a moment is a fault only as long as that lasts.
func TestFileThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keyring := openFile(t, path, false)
	for name, move := range map[string][2]func() error{
		"moved away": {
			func() error { return os.Rename(path, path+".away") }, func() error { return os.Rename(path+".away", path) },
		},
		"open to others": {func() error { return os.Chmod(path, 0o666) }, func() error { return os.Chmod(path, 0o600) }},
	} {
		must(t, move[0]())
		if err := keyring.Fault(); err == nil || errors.Is(err, seal.ErrCurrentKeyMissing) {
			t.Errorf("%s: Fault returns %v", name, err)
		}
		must(t, move[1]())
		if err := keyring.Fault(); err != nil {
			t.Errorf("%s, and back: %v", name, err)
		}
	}
}

// What is put before and behind the current key is taken over, and so is a file without an older key.
func TestFileWithTheCurrentKeyIsTakenOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), seal.FileName)
	must(t, withText(line(1))(path))
	keyring := openFile(t, path, false)
	for _, lines := range [][]string{{line(1), line(2)}, {line(2), line(1)}, {line(2)}, {line(3), line(2)}} {
		must(t, withText(strings.Join(lines, "\n"))(path))
		must(t, keyring.Fault())
		if keyring.Current() != idOf(t, lines[0]) || len(keyring.Keys()) != len(lines) {
			t.Errorf("the keys are %v, with %d lines in the file", keyring.Keys(), len(lines))
		}
	}
}

// A command does not put its new key into a file that is not that of its store.
func TestForeignFileIsNotChanged(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keyring := openFile(t, path, false)
	must(t, withText(line(9))(path))
	key, err := seal.NewKey(strings.NewReader(strings.Repeat("k", 32)))
	must(t, err)
	if _, err := keyring.BeginRotation(key); !errors.Is(err, seal.ErrCurrentKeyMissing) {
		t.Errorf("BeginRotation returns %v", err)
	}
	if err := keyring.Promote(idOf(t, line(9))); !errors.Is(err, seal.ErrCurrentKeyMissing) {
		t.Errorf("Promote returns %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != line(9) {
		t.Errorf("the file was changed (%v)", err)
	}
	if _, err := keyring.Open(seal.Secrets, "alice", keyringOf(t, line(9)).Seal(seal.Secrets, "alice", vault("x"))); !errors.Is(err, otp.ErrSealed) {
		t.Errorf("what is sealed under the foreign key: %v", err)
	}
}
