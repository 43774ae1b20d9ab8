package app

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/config"
)

// runApp runs a service on loopback that logs to w, until the test ends it.
func runApp(t *testing.T, w io.Writer) (a *App, interrupt func(), ended <-chan error) {
	t.Helper()
	c := config.Default()
	c.Listen, c.Ops.Listen, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	a, err := New(t.Context(), c, w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(context.WithoutCancel(t.Context()))
	end, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		end <- a.Run(ctx)
	}()
	t.Cleanup(func() {
		interrupt()
		<-done
	})
	return a, interrupt, end
}

// get returns status and body of an answer.
func get(t *testing.T, client *http.Client, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const callTimeout = time.Minute // longer than any call that is answered at all

// A reader of the log that stalls costs lines. Calls, probes and the end do not wait for it.
func TestALogWhoseReaderStalls(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	a, interrupt, ended := runApp(t, w)
	for range 100 { // rounds of requests; lines of other things fill the log
		for range 100 {
			if status, _ := get(t, client, "http://"+a.APIAddress()+"/v1/authentication/account"); status != http.StatusUnauthorized {
				t.Fatalf("HTTP %d", status)
			}
			a.logger.Info("a line", zap.String("of", strings.Repeat("many bytes ", 50)))
		}
		if a.log.Dropped() > 0 {
			break
		}
	}
	if _, text := get(t, client, "http://"+a.OpsAddress()+"/metrics"); !strings.Contains(text, "\npimsd_log_lines_dropped_total ") ||
		strings.Contains(text, "\npimsd_log_lines_dropped_total 0\n") {
		t.Error("pimsd_log_lines_dropped_total does not count")
	}
	if status, text := get(t, client, "http://"+a.OpsAddress()+"/readyz?verbose"); status != http.StatusOK || !strings.Contains(text, "\nlog: ok, ") ||
		!strings.Contains(text, " lines dropped since the start") {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
	interrupt()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(callTimeout):
		t.Error("the service does not end while its log is not read")
	}
	read := make(chan string) // lets the goroutine that writes the log end
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	a.FlushLog()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if text := <-read; !strings.Contains(text, `"message":"lines of the log were dropped`) {
		t.Error("a reader that reads again is not told of the lines that are missing")
	}
}

func TestReadinessWhenTheLogIsRead(t *testing.T) {
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	a, _, _ := runApp(t, io.Discard)
	if status, text := get(t, client, "http://"+a.OpsAddress()+"/readyz?verbose"); status != http.StatusOK || !strings.Contains(text, "\nlog: ok\n") {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
}
