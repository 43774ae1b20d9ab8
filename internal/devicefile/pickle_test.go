package devicefile

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// Each kind of value, as Python writes it.
func TestValues(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]value{
		"\x80\x04N.":         nil,
		"\x88.":              true,
		"\x89.":              false,
		"K\xff.":             int64(255),
		"M\x01\x02.":         int64(0x201),
		"J\xff\xff\xff\xff.": int64(-1),
		"J\x39\x30\x00\x00.": int64(12345),
		"\x8a\x00.":          int64(0),
		"\x8a\x01\xff.":      int64(-1),
		"\x8a\x02\xff\x00.":  int64(255),
		"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.": int64(math.MinInt64),
		"G\x3f\xf8\x00\x00\x00\x00\x00\x00.":        1.5,
		"\x8c\x02h\xc3.":                            ErrMalformed, // half a letter
		"\x8c\x03h\xc3\xa9.":                        "hé",
		"X\x01\x00\x00\x00a.":                       "a",
		"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a.":    "a",
		"C\x01\xff.":                                pyBytes("\xff"),
		"B\x01\x00\x00\x00\xff.":                    pyBytes("\xff"),
		"NK\x010.":                                  nil, // POP
		"N(K\x01K\x021.":                            nil, // POP_MARK
		"cos\nsystem\n.":                            class{module: "os", name: "system"},
		"\x8c\x02os\x8c\x06system\x93.":             class{module: "os", name: "system"},
	} {
		got, err := readPickle([]byte(in))
		if wrong, ok := want.(error); ok {
			if !errors.Is(err, wrong) {
				t.Errorf("%q: %v, want %v", in, err, wrong)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q gives %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestContainers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]value{
		"].":                      nil,
		").":                      nil,
		"]K\x01a.":                {int64(1)},
		"](K\x01K\x02e.":          {int64(1), int64(2)},
		"K\x01\x85.":              {int64(1)},
		"K\x01K\x02K\x03\x87.":    {int64(1), int64(2), int64(3)},
		"(K\x01K\x02t.":           {int64(1), int64(2)},
		"K\x01\x94h\x00h\x00\x87": nil, // no STOP
	} {
		got, err := readPickle([]byte(in))
		if !strings.HasSuffix(in, ".") {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%q: %v", in, err)
			}
			continue
		}
		list, ok := got.(*list)
		if err != nil || !ok || !reflect.DeepEqual(list.items, want) {
			t.Errorf("%q gives %v, %v", in, got, err)
		}
	}
}

// A device contains itself: its data points back to it. The last of two values of a key counts.
func TestObjects(t *testing.T) {
	t.Parallel()
	got, err := readPickle([]byte("\x80\x04\x8c\x01m\x8c\x01C\x93)\x81\x94}(\x8c\x02meh\x00\x8c\x01aK\x01\x8c\x01aK\x02ub."))
	object, ok := got.(*object)
	if err != nil || !ok || object.class != (class{module: "m", name: "C"}) {
		t.Fatalf("%v, %v", got, err)
	}
	if me, _ := object.get("me"); me != value(object) {
		t.Errorf("me is %v", me)
	}
	if a, _ := object.get("a"); a != value(int64(2)) {
		t.Errorf("a is %v", a)
	}
	if b, there := object.get("b"); there {
		t.Errorf("b is %v", b)
	}
}

// hostile are pickles that are up to something, by what must become of them.
func hostile() map[string]struct {
	data string
	want error
} {
	type row = struct {
		data string
		want error
	}
	const system, open = "\x8c\x02os\x8c\x06system\x93", "\x8c\x08builtins\x8c\x04open\x93"
	return map[string]row{
		"reduce that would write a file": {"\x80\x04" + open + "\x8c\x06pwned!\x8c\x01w\x86R.", ErrCalls},
		"reduce that would run a shell":  {"\x80\x04" + system + "\x8c\x0ctouch pwned!\x85R.", ErrCalls},
		"inst":                           {"(\x8c\x0ctouch pwned!ios\nsystem\n.", ErrCalls},
		"obj":                            {"(" + system + "\x8c\x0ctouch pwned!o.", ErrCalls},
		"newobj with arguments":          {system + "\x8c\x0ctouch pwned!\x85\x81.", ErrCalls},
		"newobj_ex":                      {system + ")}\x92.", ErrCalls},
		"persistent id":                  {"Pabc\n.", ErrCalls},
		"persistent id from the stack":   {"NQ.", ErrCalls},
		"extension":                      {"\x82\x01.", ErrCalls},
		"out-of-band buffer":             {"\x97.", ErrCalls},
		"build of a class":               {system + "}b.", ErrMalformed},
		"build with a tuple of states":   {system + ")\x81N}\x86b.", ErrMalformed},
		"build twice":                    {system + ")\x81}b}b.", ErrMalformed},
		"instance of a text":             {"\x8c\x01a)\x81.", ErrMalformed},
		"a text of 1 GiB":                {"X\x00\x00\x00\x40a.", ErrMalformed},
		"a text of 2^63":                 {"\x8d\x00\x00\x00\x00\x00\x00\x00\x80a.", ErrMalformed},
		"a text of 2^64-1":               {"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", ErrMalformed},
		"bytes of 2^64-1":                {"\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.", ErrMalformed},
		"a frame of 1 GiB":               {"\x80\x04\x95\x00\x00\x00\x40\x00\x00\x00\x00N.", ErrMalformed},
		"a number of 255 bytes":          {"\x8a\xff" + strings.Repeat("\x01", 255) + ".", ErrTooLarge},
		"a number of 2^31 bytes":         {"\x8b\xff\xff\xff\x7f\x01.", ErrMalformed},
		"too deep, tuples":               {")" + strings.Repeat("\x85", 1000) + ".", ErrTooLarge},
		"too deep, lists":                {strings.Repeat("]", 1000) + strings.Repeat("a", 999) + ".", ErrTooLarge},
		"too deep, dicts":                {strings.Repeat("}N", 1000) + "N" + strings.Repeat("s", 999) + ".", ErrTooLarge},
		"too many marks":                 {strings.Repeat("(", 1000), ErrTooLarge},
		"a list in itself":               {"]\x94" + strings.Repeat("h\x00a", 50) + ".", ErrTooLarge},
		"too high a stack":               {strings.Repeat("N", 10_000), ErrTooLarge},
		"too many steps":                 {"N" + strings.Repeat("N0", 100_000) + ".", ErrTooLarge},
		"doubling":                       {"]\x94" + strings.Repeat("h\x00h\x00\x86\x94", 40) + ".", ErrMalformed},
		"memo that is not there":         {"h\x07.", ErrMalformed},
		"memo of nothing":                {"\x94.", ErrMalformed},
		"memo far away":                  {"Nr\xff\xff\xff\xff0j\xff\xff\xff\xfe.", ErrMalformed},
		"nothing":                        {"", ErrMalformed},
		"a stop alone":                   {".", ErrMalformed},
		"two values":                     {"NN.", ErrMalformed},
		"an open mark":                   {"N(.", ErrMalformed},
		"below the mark":                 {"N(0.", ErrMalformed},
		"append below the mark":          {"](Na.", ErrMalformed},
		"append to a tuple":              {")Na.", ErrMalformed},
		"append to nothing":              {"Na.", ErrMalformed},
		"half a pair":                    {"}(Nu.", ErrMalformed},
		"an unknown opcode":              {"\xff.", ErrMalformed},
		"protocol 9":                     {"\x80\x09N.", ErrMalformed},
		"a web page":                     {"<html>", ErrMalformed},
	}
}

// Whatever a pickle is up to, it is refused in no time and no memory to speak of, and nothing has happened.
func TestHostilePickles(t *testing.T) { // not parallel: it looks at the memory, and at the working directory
	t.Chdir(t.TempDir())
	for name, tt := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v, err := readPickle([]byte(tt.data))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tt.want) || v != nil {
			t.Errorf("%s: %v, %v; want %v", name, v, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "pwned") {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: it took %d bytes", name, used)
		}
	}
	if left, err := filepath.Glob("*"); err != nil || len(left) > 0 {
		t.Errorf("files were written: %v, %v", left, err)
	}
}

// The largest that is read is read in bounds, whatever it is made of.
func TestTheLargestIsBounded(t *testing.T) { // not parallel: it looks at the memory
	for name, unit := range map[string]string{
		"lists": "]0", "remembered lists": "]\x940", "dicts": "}0", "objects": "h\x00)\x810", "texts": "\x8c\x00\x940", "members": "h\x01NNs0",
	} {
		data := "cm\nC\nq\x00}q\x010"
		data += strings.Repeat(unit, (MaxSize-len(data)-1)/len(unit))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = readPickle([]byte(data + "."))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
			t.Errorf("%s: %d bytes", name, used)
		}
	}
	if _, err := readPickle(make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte too many: %v", err)
	}
}

// FuzzPickle: refuse with one of three errors, or return a graph within the bounds.
func FuzzPickle(f *testing.F) {
	for _, tt := range hostile() {
		f.Add([]byte(tt.data))
	}
	names, err := filepath.Glob("testdata/*/*.[bp]*")
	if err != nil || len(names) == 0 {
		f.Fatal("no devices", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readPickle(data)
		known := errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrCalls)
		if (err == nil) == known || err != nil && v != nil {
			t.Errorf("%v with %v", err, v)
		}
		if again, errAgain := readPickle(data); (err == nil) != (errAgain == nil) || !reflect.DeepEqual(again, v) && !hasNaN(data) {
			t.Error("it reads otherwise the second time")
		}
	})
}

// hasNaN: a number that is not equal to itself makes two readings unequal.
func hasNaN(data []byte) bool { return strings.Contains(string(data), "G") }
