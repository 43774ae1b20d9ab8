package inwebo_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

const challenge = "-48902903"

// ask makes n exchanges that are offered to the transcript.
func ask(t *testing.T, w *inwebo.Transcript, n int) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<ActionSetup><err>OK</err><challenge>" + challenge + "</challenge></ActionSetup>"))
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := inwebo.New(inwebo.Config{
		BaseURL: base, Path: "/iwws/MAC", ExchangeTimeout: time.Minute, DialTimeout: time.Minute, Transcript: w.Samples(),
	})
	t.Cleanup(client.Close)
	for range n {
		if _, err := client.OTPSetup(t.Context(), inwebo.Unactivated(), "17"); err != nil {
			t.Error(err)
		}
	}
}

func open(t *testing.T, name string) *inwebo.Transcript {
	t.Helper()
	w, err := inwebo.OpenTranscript(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// lines are the lines of a file, each of which must be a shape.
func lines(t *testing.T, name string) (shapes []inwebo.Shape) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line struct {
			At time.Time
			inwebo.Shape
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil || line.At.IsZero() {
			t.Errorf("%s: %v", scanner.Text(), err)
		}
		shapes = append(shapes, line.Shape)
	}
	return shapes
}

// A transcript is for its owner alone, is appended to, and has a shape for each exchange.
func TestATranscriptIsAppended(t *testing.T) {
	name := filepath.Join(t.TempDir(), "transcript")
	for run := range 2 {
		w := open(t, name)
		ask(t, w, 3)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		shapes := lines(t, name)
		if len(shapes) != 3*(run+1) || shapes[0].Exchange != inwebo.ExchangeOTPSetup || shapes[0].Document.Err != "OK" {
			t.Errorf("run %d: %+v", run, shapes)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(name)
	if err != nil || strings.Contains(string(text), challenge) {
		t.Errorf("a value: %s, %v", text, err)
	}
}

// A transcript grows to its bound and no further, and says so once. The exchanges go on.
func TestATranscriptIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "transcript")
	const before = inwebo.MaxTranscriptBytes - 1000
	if err := os.WriteFile(name, []byte(strings.Repeat("\n", before)), 0o600); err != nil {
		t.Fatal(err)
	}
	reported := make(chan error, 10)
	w, err := inwebo.OpenTranscript(name, func(err error) { reported <- err })
	if err != nil {
		t.Fatal(err)
	}
	ask(t, w, 20)
	if err := w.Close(); !errors.Is(err, inwebo.ErrTranscriptFull) {
		t.Errorf("%v; want ErrFull", err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Size() > inwebo.MaxTranscriptBytes || info.Size() == before {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	if err := <-reported; !errors.Is(err, inwebo.ErrTranscriptFull) || len(reported) > 0 {
		t.Errorf("reported %v, and %d more", err, len(reported))
	}
}

// A file that takes nothing makes no exchange fail.
func TestATranscriptThatCannotBeWritten(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	if _, err := inwebo.OpenTranscript(full, nil); err == nil {
		t.Error("a device is taken for a file")
	}
	name := filepath.Join(t.TempDir(), "transcript")
	w := open(t, name)
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	ask(t, w, 3)
	err := w.Close()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &usual); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("%v; want EFBIG", err)
	}
}

// What is no regular file is refused, and not waited for.
func TestATranscriptIsARegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, fifo, filepath.Join(dir, "none", "such"), ""} {
		if w, err := inwebo.OpenTranscript(name, nil); err == nil {
			_ = w.Close()
			t.Errorf("%q is taken", name)
		}
	}
}
