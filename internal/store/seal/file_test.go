package seal_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

func TestFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), seal.FileName)
	if _, err := seal.OpenFile(path, false); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file that may not be made: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("it was made all the same")
	}
	keyring := openFile(t, path, true)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("the mode of a new file is %v", info.Mode())
	}
	for _, mayCreate := range []bool{true, false} {
		if again := openFile(t, path, mayCreate); !slices.Equal(again.Keys(), keyring.Keys()) {
			t.Errorf("the keys are %v, and then %v", keyring.Keys(), again.Keys())
		}
	}
	expectOnly(t, path)
}

// expectOnly fails if there is anything beside the file.
func expectOnly(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("in the directory there are %v", entries)
	}
}

func TestFileIsMadeOnceByMany(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), seal.FileName)
	rings := make([]*seal.Keyring, 16)
	var all sync.WaitGroup
	for i := range rings {
		all.Go(func() {
			var err error
			if rings[i], err = seal.OpenFile(path, true); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, keyring := range rings {
		if keyring == nil || keyring.Current() != rings[0].Current() {
			t.Fatal("those who opened the file at once have different keys")
		}
	}
	expectOnly(t, path)
}

func TestFileFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		make func(path string) error
		want string
	}{
		"writable by all":       {withMode(0o606), "its mode is 0606"},
		"executable by a group": {withMode(0o650), "its mode is 0650"},
		"executable by all":     {withMode(0o601), "its mode is 0601"},
		"readable by its group": {withMode(0o640), ""},
		"read-only":             {withMode(0o400), ""},
		"a directory":           {func(path string) error { return os.Mkdir(path, 0o700) }, "is not a file"},
		"a pipe":                {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "is not a file"},
		"too large":             {withText(strings.Repeat("#\n", 40<<10)), "is over 64 KiB"},
		"empty":                 {withText(""), "has no sealing key"},
		"a fault in a line":     {withText(line(1) + "\nx\n"), "line 2 is not a sealing key"},
	} {
		path := filepath.Join(t.TempDir(), seal.FileName)
		must(t, tc.make(path))
		for _, mayCreate := range []bool{true, false} {
			_, err := seal.OpenFile(path, mayCreate)
			if tc.want == "" && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%s: the error is %v, want one that says %q", name, err, tc.want)
			}
		}
	}
}

func withMode(mode fs.FileMode) func(string) error {
	return func(path string) error { return errors.Join(withText(line(1))(path), os.Chmod(path, mode)) }
}

func withText(text string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
}

// A process that has the keyring open follows its file: it opens what is sealed under a key that came later, and seals
// under the new current key a second later.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := newFile(t)
		service, command := openFile(t, path, false), openFile(t, path, false)
		first := service.Current()
		old := service.Seal(seal.Secrets, "alice", vault("x"))
		mac := service.MAC("a", nil)

		second := turn(t, command)
		if _, err := service.Open(seal.Secrets, "alice", command.Seal(seal.Secrets, "alice", vault("x"))); err != nil {
			t.Errorf("what the other process has sealed: %v", err)
		}
		third := turn(t, command)
		time.Sleep(time.Second)
		if got := service.Current(); got != third {
			t.Errorf("after another process has turned the ring the current key is %s, want %s", got, third)
		}
		if got, want := service.Keys(), []seal.KeyID{third, second, first}; !slices.Equal(got, want) {
			t.Errorf("the keys are %v, want %v", got, want)
		}
		if ok, err := command.CheckMAC("a", nil, mac); !ok || err != nil {
			t.Errorf("a MAC from before is refused (%v)", err)
		}
		if _, err := command.Open(seal.Secrets, "alice", old); err != nil {
			t.Errorf("what was sealed before: %v", err)
		}
		expectOnly(t, path)
	})
}

// Whatever happens to the file, the keyring keeps what it has; who misses a key is told of the file, too; and when the file
// is well again, so is the ring.
func TestFollowBrokenFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(path string) error
		says  string
	}{
		"gone":     {os.Remove, "no such file"},
		"open":     {func(path string) error { return errors.Join(withText(line(1)+"\n")(path), os.Chmod(path, 0o666)) }, "0666"},
		"damaged":  {withText("x"), "line 1 is not a sealing key"},
		"emptied":  {func(path string) error { return os.Truncate(path, 0) }, "has no sealing key"},
		"replaced": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "is not a file"},
	} {
		path := filepath.Join(t.TempDir(), seal.FileName)
		must(t, withText(line(1))(path))
		keyring := openFile(t, path, false)
		later := keyringOf(t, line(2)).Seal(seal.Secrets, "alice", vault("x"))
		must(t, tc.spoil(path))

		if sealed := keyring.Seal(seal.Secrets, "alice", vault("x")); keyring.Current() != idOf(t, line(1)) {
			t.Errorf("%s: the current key is another one", name)
		} else if _, err := keyring.Open(seal.Secrets, "alice", sealed); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := keyring.Open(seal.Secrets, "alice", later)
		if !errors.Is(err, otp.ErrSealed) || !strings.Contains(err.Error(), tc.says) ||
			!strings.Contains(err.Error(), string(idOf(t, line(2)))) {
			t.Errorf("%s: the error is %v, want one that says %q", name, err, tc.says)
		}
		if err := keyring.Reload(); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: Reload says %v", name, err)
		}
		must(t, os.RemoveAll(path))
		must(t, withText(line(2)+"\n"+line(1))(path))
		if _, err := keyring.Open(seal.Secrets, "alice", later); err != nil {
			t.Errorf("%s: when the file is well again: %v", name, err)
		}
		must(t, keyring.Reload())
	}
}

// A fault that passes without a change of the file's content is forgotten, too.
func TestFollowMode(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keyring := openFile(t, path, false)
	must(t, os.Chmod(path, 0o666))
	if keyring.Reload() == nil {
		t.Fatal("a file for all to read is taken")
	}
	must(t, os.Chmod(path, 0o600))
	_, err := keyring.Open(seal.Secrets, "alice", keyringOf(t, line(1)).Seal(seal.Secrets, "alice", vault("x")))
	if !errors.Is(err, otp.ErrSealed) || strings.Contains(err.Error(), "mode") {
		t.Errorf("the error is %v", err)
	}
}

// turnAmongOthers is turn while other processes rotate too: it helps to end their rotations until it can begin its own.
func turnAmongOthers(t *testing.T, keyring *seal.Keyring) seal.KeyID {
	key, err := seal.NewKey(rand.Reader)
	must(t, err)
	for {
		id, err := keyring.BeginRotation(key)
		must(t, err)
		must(t, keyring.Promote(id))
		must(t, keyring.EndRotation())
		if id == key.ID() {
			return id
		}
	}
}

func TestManyChangeTheFileAtOnce(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	ids := make([]seal.KeyID, 12)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() { ids[i] = turnAmongOthers(t, openFile(t, path, false)) })
	}
	reader := openFile(t, path, false)
	for range 200 {
		reader.Seal(seal.Secrets, "alice", vault("x"))
		must(t, reader.Reload())
	}
	all.Wait()
	keys := openFile(t, path, false).Keys()
	for _, id := range ids {
		if !slices.Contains(keys, id) {
			t.Errorf("key %s got lost", id)
		}
	}
	if len(keys) != len(ids)+1 {
		t.Errorf("there are %d keys", len(keys))
	}
}

func TestBeginRotationAndPromote(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keyring := openFile(t, path, false)
	first := keyring.Current()
	key, err := seal.NewKey(strings.NewReader(strings.Repeat("k", 32)))
	must(t, err)
	if err := keyring.Promote(key.ID()); err == nil || !strings.Contains(err.Error(), string(key.ID())) {
		t.Errorf("a key that is not there becomes the current one (%v)", err)
	}
	begin(t, keyring, key)
	if got := keyring.Keys(); !slices.Equal(got, []seal.KeyID{first, key.ID()}) {
		t.Errorf("after BeginRotation the keys are %v", got)
	}
	for range 2 {
		must(t, keyring.Promote(key.ID()))
		if got := openFile(t, path, false).Keys(); !slices.Equal(got, []seal.KeyID{key.ID(), first}) {
			t.Errorf("after Promote the keys are %v", got)
		}
	}
	must(t, keyring.EndRotation())
	if _, err := keyring.BeginRotation(key); err == nil {
		t.Error("the same key is added twice")
	}
	if _, err := keyringOf(t, line(1)).BeginRotation(key); !errors.Is(err, seal.ErrNoKeyFile) {
		t.Errorf("adding to a keyring without a file says %v", err)
	}
	must(t, keyringOf(t, line(1)).Reload())
}

// A changed file keeps its mode and its owner, and stays where a link points to; what a process that died has left
// behind is no hindrance.
func TestChangedFileKeepsItsPlace(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(path, link))
	must(t, os.WriteFile(path+".new", []byte("left behind"), 0o666))
	must(t, os.Chmod(path, 0o640))
	if os.Getuid() == 0 { // only root can change the owner
		must(t, os.Chown(path, 12345, 54321))
	}
	before, err := os.Stat(path)
	must(t, err)

	keyring := openFile(t, link, false)
	id := turn(t, keyring)

	after, err := os.Stat(path)
	must(t, err)
	was, is := before.Sys().(*syscall.Stat_t), after.Sys().(*syscall.Stat_t)
	if after.Mode() != 0o640 || was.Uid != is.Uid || was.Gid != is.Gid {
		t.Errorf("the file is %v of %d:%d after it was %v of %d:%d", after.Mode(), is.Uid, is.Gid, before.Mode(), was.Uid, was.Gid)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is none any more (%v)", err)
	}
	if openFile(t, path, false).Current() != id {
		t.Error("the file that the link points to was not changed")
	}
	expectOnly(t, path)
}

// A file that cannot be replaced stays as it is.
func TestChangeThatFails(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	keyring := openFile(t, path, false)
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(path+".new", "in the way"), 0o700))
	key, err := seal.NewKey(strings.NewReader(strings.Repeat("k", 32)))
	must(t, err)
	if _, err := keyring.BeginRotation(key); err == nil || strings.Contains(err.Error(), key.Text().Reveal()[9:]) {
		t.Errorf("BeginRotation says %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed (%v)", err)
	}
	if len(keyring.Keys()) != 1 {
		t.Error("the keyring has the key that could not be stored")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	one, two, three := idOf(t, line(1)), idOf(t, line(2)), idOf(t, line(3))
	keyring := keyringOf(t, line(1))
	must(t, keyring.Check(nil))
	must(t, keyring.Check(seal.KeyUsage{one: 3, seal.Unsealed: 1}))
	err := keyring.Check(seal.KeyUsage{one: 1, two: 2, three: 3})
	if !errors.Is(err, otp.ErrSealed) || !strings.Contains(err.Error(), string(two)+" (2 records)") ||
		!strings.Contains(err.Error(), string(three)+" (3 records)") || strings.Contains(err.Error(), string(one)) {
		t.Errorf("the error is %v", err)
	}
	path := filepath.Join(t.TempDir(), seal.FileName)
	must(t, withText(line(1))(path))
	keyring = openFile(t, path, false)
	must(t, withText(line(1)+"\n"+line(2))(path))
	must(t, keyring.Check(seal.KeyUsage{two: 1}))
}

// A file is never made larger than what is read.
func TestFileIsNotMadeTooLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), seal.FileName)
	must(t, withText(line(1))(path))
	keyring := openFile(t, path, false)
	must(t, withText(line(1)+strings.Repeat("\n#", 32<<10-32))(path)) // comments are not kept
	must(t, keyring.Reload())
	turn(t, keyring)
	var lines strings.Builder
	for n := range 1210 {
		key, err := seal.NewKey(strings.NewReader(fmt.Sprintf("%032d", n)))
		must(t, err)
		lines.WriteString(key.Text().Reveal() + "\n")
	}
	must(t, withText(lines.String())(path))
	keyring = openFile(t, path, false)
	key, err := seal.NewKey(strings.NewReader(strings.Repeat("k", 32)))
	must(t, err)
	if _, err := keyring.BeginRotation(key); err == nil || !strings.Contains(err.Error(), "take out those that seal no record") {
		t.Errorf("BeginRotation returns %v", err)
	}
	if again := openFile(t, path, false); len(again.Keys()) != 1210 {
		t.Errorf("the file has %d keys", len(again.Keys()))
	}
}
