package crashtest_test

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/testkit/crashtest"
)

// crashes returns what many crashes leave, each once: a file's sectors by their first bytes, after its name.
func crashes(calls ...crashtest.Call) []string {
	disk := crashtest.NewDisk("/r")
	for _, c := range calls {
		disk.Apply(c)
	}
	all := map[string]bool{}
	for seed := range uint64(400) {
		var left []string
		files := disk.Crash(seed)
		for _, path := range slices.Sorted(maps.Keys(files)) {
			text := path + ":"
			for sector := range slices.Chunk(files[path], 512) {
				text += string(sector[:1])
			}
			left = append(left, text)
		}
		all[strings.Join(left, " ")] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func TestCrashLeavesWhatWasSyncedAndPerhapsMore(t *testing.T) {
	t.Parallel()
	sectors := func(c string, n int) []byte { return bytes.Repeat([]byte(c), 512*n) }
	create := crashtest.Call{Op: crashtest.Create, Path: "/r/a"}
	syncNames := crashtest.Call{Op: crashtest.Sync, Path: "/r"}
	syncFile := crashtest.Call{Op: crashtest.Sync, Path: "/r/a"}
	write := func(c string, at, n int64) crashtest.Call {
		return crashtest.Call{Op: crashtest.Write, Path: "/r/a", At: 512 * at, Data: sectors(c, int(n))}
	}
	written := []crashtest.Call{create, write("x", 0, 2), syncFile, syncNames}
	for name, tc := range map[string]struct {
		calls []crashtest.Call
		want  []string
	}{
		"all is synced":           {written, []string{"/r/a:xx"}},
		"a name is not":           {[]crashtest.Call{create, write("x", 0, 2), syncFile}, []string{"", "/r/a:xx"}},
		"a content is not":        {append(slices.Clone(written), write("y", 0, 2)), []string{"/r/a:xx", "/r/a:xy", "/r/a:yx", "/r/a:yy"}},
		"the later write is kept": {append(slices.Clone(written), write("y", 0, 1), write("z", 1, 1)), []string{"/r/a:xx", "/r/a:xz", "/r/a:yx", "/r/a:yz"}},
		"a size is not": {
			append(slices.Clone(written), crashtest.Call{Op: crashtest.Truncate, Path: "/r/a", At: 512}),
			[]string{"/r/a:x", "/r/a:xx"},
		},
		"a new name is not": {
			append(slices.Clone(written), crashtest.Call{Op: crashtest.Rename, Path: "/r/a", To: "/r/b"}),
			[]string{"/r/a:xx", "/r/b:xx"},
		},
		"an end is not": {
			append(slices.Clone(written), crashtest.Call{Op: crashtest.Remove, Path: "/r/a"}),
			[]string{"", "/r/a:xx"},
		},
		"a folder is not": {
			[]crashtest.Call{{Op: crashtest.MakeDir, Path: "/r/d"}, {Op: crashtest.Create, Path: "/r/d/a"}, {Op: crashtest.Sync, Path: "/r/d"}},
			[]string{"", "/r/d/: /r/d/a:"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := crashes(tc.calls...); !slices.Equal(got, tc.want) {
				t.Errorf("left is %q, want %q", got, tc.want)
			}
		})
	}
}

// Whatever was done: what is synced is left by every crash, and seed 1 leaves all.
func TestDiskProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		disk := crashtest.NewDisk("/r")
		path := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("/r/", rapid.IntRange(1, 3).Draw(t, "file")) })
		call := rapid.Custom(func(t *rapid.T) crashtest.Call {
			op := rapid.SampledFrom([]crashtest.Op{
				crashtest.Create, crashtest.Write, crashtest.Write, crashtest.Truncate, crashtest.Sync, crashtest.Rename, crashtest.Remove,
			}).Draw(t, "op")
			return crashtest.Call{
				Op: op, Path: path.Draw(t, "path"), To: path.Draw(t, "to"), At: rapid.Int64Range(0, 2000).Draw(t, "at"),
				Data: rapid.SliceOfN(rapid.Byte(), 1, 2000).Draw(t, "data"),
			}
		})
		for _, c := range rapid.SliceOf(call).Draw(t, "calls") {
			disk.Apply(c)
		}
		if got := disk.Crash(1); !reflect.DeepEqual(got, disk.Files()) {
			t.Errorf("left is %v of %v", got, disk.Files())
		}
		for name := range disk.Files() {
			disk.Apply(crashtest.Call{Op: crashtest.Sync, Path: name})
		}
		disk.Apply(crashtest.Call{Op: crashtest.Sync, Path: "/r"})
		for seed := range uint64(8) {
			if got := disk.Crash(seed); !reflect.DeepEqual(got, disk.Files()) {
				t.Errorf("left is %v of %v, and all was synced", got, disk.Files())
			}
		}
	})
}
