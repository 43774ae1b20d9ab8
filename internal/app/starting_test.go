package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/secret"
)

// reserved returns an address of loopback that is free.
func reserved(t *testing.T) string {
	t.Helper()
	l := listening(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// While the store is opened, operators are told that the service is alive and not ready, and callers are refused: nothing waits
// without an answer.
func TestWhatIsAnsweredWhileTheStoreIsOpened(t *testing.T) {
	t.Parallel()
	database := listening(t) // which does not answer
	defer database.Close()
	c := config.Default()
	c.DataDir, c.DatabaseURL = t.TempDir(), secret.NewText("postgres://pimsd@"+database.Addr().String()+"/pimsd?sslmode=disable")
	c.Listen, c.Ops.Listen = reserved(t), reserved(t)
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := New(ctx, c, io.Discard)
		ended <- err
	}()
	opening, err := database.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer opening.Close()
	for path, want := range map[string]string{"/livez": "200 alive\n", "/readyz?verbose": "503 serving: failed: " + errStarting.Error() + "\nnot ready\n"} {
		if got := told(t, "http://"+c.Ops.Listen+path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if answer, err := AskOperators(t.Context(), c); err != nil || !answer.Starts || !answer.IsOf(c) {
		t.Errorf("asked what answers: %+v, %v", answer, err)
	}
	caller, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(caller); len(said) > 0 || err != nil {
		t.Errorf("a caller reads %q, %v; want the end of the connection", said, err)
	}
	_ = caller.Close()
	giveUp()
	if err := <-ended; err == nil {
		t.Error("the service is there without its database")
	}
	for _, address := range []string{c.Listen, c.Ops.Listen} {
		if still, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("after a start that failed, %s is still bound", address)
			_ = still.Close()
		}
	}
}

// told returns the status and the body of an answer.
func told(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(response.Status)[0] + " " + string(body)
}
