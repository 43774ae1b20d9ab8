package input_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/input"
)

func TestTrimRemovesOneMarkAndOneLineBreak(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"a":                       "a",
		"a\n":                     "a",
		"a\r\n":                   "a",
		"a\n\n":                   "a\n",
		"a\r":                     "a\r",
		"\n":                      "",
		" a \n":                   " a ",
		"\ufeff":                  "",
		"\ufeffa\r\n":             "a",
		"\ufeff\ufeffa":           "\ufeffa",
		"a\ufeff":                 "a\ufeff",
		"\xef\xbb":                "\xef\xbb",
		"one line\nand another\n": "one line\nand another",
	} {
		if got := input.Trim(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := string(input.Trim([]byte(text))); got != want {
			t.Errorf("bytes %q: %q, want %q", text, got, want)
		}
	}
}

func TestReadFileIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(strings.Repeat("a", 2048)), 0o600); err != nil {
		t.Fatal(err)
	}
	if content, err := input.ReadFile(path, 2048); err != nil || len(content) != 2048 {
		t.Errorf("a file of the longest length: %d bytes, %v", len(content), err)
	}
	if _, err := input.ReadFile(path, 2047); !errors.Is(err, input.ErrTooLarge) {
		t.Errorf("a longer file: %v", err)
	}
	if _, err := input.ReadFile("/dev/zero", 2048); !errors.Is(err, input.ErrTooLarge) {
		t.Errorf("a file without an end: %v", err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 1024)
	for text, want := range map[string][]string{
		"":                     nil,
		"1234":                 {"1234"},
		"1234\n":               {"1234"},
		"\ufeff123456\r\n1234": {"123456", "1234"},
		"\n\ufeff1234\n":       {"", "\ufeff1234"},
		longest + "\r\nb\n":    {longest, "b"},
	} {
		lines := input.NewLines(strings.NewReader(text))
		for _, line := range want {
			if got, err := lines.Next(); got != line || err != nil {
				t.Errorf("%q: %q, %v, want %q", text, got, err, line)
			}
		}
		if got, err := lines.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%q: after the end %q, %v", text, got, err)
		}
	}
}

// endless is a line that never ends. It counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	e.read += len(p)
	return len(p), nil
}

func TestLineWithoutEndIsRefusedAtItsBound(t *testing.T) {
	t.Parallel()
	line := &endless{}
	if _, err := input.NewLines(line).Next(); !errors.Is(err, input.ErrLineTooLong) {
		t.Errorf("%v", err)
	}
	if line.read > 2048 {
		t.Errorf("%d bytes were read", line.read)
	}
	if _, err := input.NewLines(strings.NewReader(strings.Repeat("a", 1025) + "\n")).Next(); !errors.Is(err, input.ErrLineTooLong) {
		t.Errorf("one byte more than the longest line: %v", err)
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "1234\n", "\ufeff123456\r\n1234", "\r\r\n\n", strings.Repeat("a", 1025)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := input.NewLines(strings.NewReader(text))
		for {
			line, err := lines.Next()
			if err != nil {
				return
			}
			if len(line) > 1024 || strings.ContainsRune(line, '\n') {
				t.Fatalf("%q is a line of %q", line, text)
			}
		}
	})
}
