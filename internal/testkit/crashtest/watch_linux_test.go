package crashtest_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// touchFiles is a child that does everything to files, and stops at the first thing that fails.
func touchFiles(_ context.Context, args []string) error {
	folder := filepath.Join(args[0], "folder")
	a, b, c := filepath.Join(folder, "a"), filepath.Join(folder, "b"), filepath.Join(folder, "c")
	var file, names *os.File
	for _, step := range []func() error{
		func() error { return os.Mkdir(folder, 0o700) },
		func() (err error) { file, err = os.Create(a); return err },
		func() (err error) { _, err = file.WriteString("hello"); return err },
		func() (err error) { _, err = file.WriteString(" world"); return err },
		func() (err error) { _, err = file.WriteAt([]byte("J"), 0); return err },
		func() error { return file.Truncate(8) },
		func() error { return file.Sync() },
		func() error { return os.Rename(a, b) },
		func() (err error) { names, err = os.Open(folder); return err },
		func() error { return names.Sync() },
		func() error { return os.WriteFile(c, []byte("c"), 0o600) },
		func() error { return os.Remove(c) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	report("done", 1)
	return nil
}

func touches(root string) []crashtest.Call {
	folder := filepath.Join(root, "folder")
	a, b, c := filepath.Join(folder, "a"), filepath.Join(folder, "b"), filepath.Join(folder, "c")
	return []crashtest.Call{
		{Op: crashtest.MakeDir, Path: folder},
		{Op: crashtest.Create, Path: a},
		{Op: crashtest.Write, Path: a, Data: []byte("hello")},
		{Op: crashtest.Write, Path: a, Data: []byte(" world"), At: 5},
		{Op: crashtest.Write, Path: a, Data: []byte("J")},
		{Op: crashtest.Truncate, Path: a, At: 8},
		{Op: crashtest.Sync, Path: a},
		{Op: crashtest.Rename, Path: a, To: b},
		{Op: crashtest.Sync, Path: folder},
		{Op: crashtest.Create, Path: c},
		{Op: crashtest.Write, Path: c, Data: []byte("c")},
		{Op: crashtest.Remove, Path: c},
		{Op: crashtest.Report, Data: []byte("done 1\n")},
	}
}

func TestWatchSeesEverything(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var seen []crashtest.Call
	log, failed, err := watch(t.Context(), "files", []string{root}, root, func(c crashtest.Call) crashtest.Action {
		seen = append(seen, c)
		return crashtest.Allow()
	})
	if err != nil || failed || !reflect.DeepEqual(seen, touches(root)) {
		t.Errorf("seen is %v (%v, %s)", seen, err, log)
	}
}

// Whatever the verdict on a call, the files are those after the calls before it, and after that call or half of it.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdict crashtest.Action
		done    func(crashtest.Call) []crashtest.Call
		fails   bool
	}{
		"fail":         {crashtest.Fail(unix.EIO), func(crashtest.Call) []crashtest.Call { return nil }, true},
		"kill before":  {crashtest.KillBefore(), func(crashtest.Call) []crashtest.Call { return nil }, false},
		"kill after":   {crashtest.KillAfter(), func(c crashtest.Call) []crashtest.Call { return []crashtest.Call{c} }, false},
		"kill halfway": {crashtest.KillHalfway(), func(c crashtest.Call) []crashtest.Call { return []crashtest.Call{c.Half()} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := range touches("") {
				root := t.TempDir()
				disk := crashtest.NewDisk(root)
				n, told := 0, false
				log, failed, err := watch(t.Context(), "files", []string{root}, root, func(c crashtest.Call) crashtest.Action {
					n++
					switch {
					case n <= at:
						disk.Apply(c)
						return crashtest.Allow()
					case n == at+1 && c.Op != crashtest.Report:
						for _, done := range tc.done(c) {
							disk.Apply(done)
						}
						return tc.verdict
					default:
						told = told || c.Op == crashtest.Report
						return crashtest.Allow()
					}
				})
				last := at == len(touches(""))-1
				if err != nil || failed != (tc.fails && !last) || told != last {
					t.Errorf("at call %d: %v, failed: %t, told: %t, %s", at+1, err, failed, told, log)
				}
				if tc.fails && !last && !strings.Contains(log, unix.EIO.Error()) {
					t.Errorf("at call %d, the process saw %s", at+1, log)
				}
				expectFiles(t, root, disk.Files())
			}
		})
	}
}

func expectFiles(t *testing.T, root string, want map[string][]byte) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		got[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range want {
		if strings.HasSuffix(path, "/") {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		} else if text, ok := got[path]; !ok || text != string(content) {
			t.Errorf("%s is %q, want %q", path, text, content)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("there is more: %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestWatchNeedsSubmission(t *testing.T) {
	t.Parallel()
	_, _, err := watch(t.Context(), "no-such-program", []string{"-test.run=^$"}, t.TempDir(), func(crashtest.Call) crashtest.Action {
		return crashtest.Allow()
	})
	if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "Submit") {
		t.Errorf("of a process that does not submit, Watch says %v", err)
	}
}
