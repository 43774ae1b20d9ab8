package app

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

// No listener and no transport waits for ever, and no answer is cut off that a call may take the time for.
func TestEveryTimeoutIsSet(t *testing.T) {
	c := config.Default()
	c.Listen, c.Ops.Listen, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	a, err := New(t.Context(), c, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.closers.all(); err != nil {
			t.Error(err)
		}
	}()
	for name, s := range map[string]*http.Server{"the API": a.api.server, "the operators' listener": a.ops.server} {
		if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
			t.Errorf("%s: %v to the header's end, %v to the body's, %v to the answer's, %v idle, %d bytes of header",
				name, s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes)
		}
	}
	longest := c.Load.Wait + c.Conversation.QueueWait + otp.EnrollmentDeadlines*c.Conversation.Deadline
	if least := 2*c.HTTP.PartTimeout + longest + time.Second; a.api.server.WriteTimeout < least {
		t.Errorf("an answer is cut off after %v, and may take %v", a.api.server.WriteTimeout, least)
	}
	keys := keyTransport()
	if keys.DialContext == nil || keys.TLSHandshakeTimeout <= 0 || keys.ResponseHeaderTimeout <= 0 || keys.MaxResponseHeaderBytes <= 0 {
		t.Error("fetching an issuer's keys lacks a bound")
	}
}

// A lease that ends later than any replica's settings allow is over; that bound must be the one of the setting.
func TestLargestDeadlineIsThatOfTheSetting(t *testing.T) {
	t.Parallel()
	load := func(deadline time.Duration) error {
		environ := []string{"PIMSD_DATA_DIR=/data", "PIMSD_CONVERSATION_DEADLINE=" + deadline.String()}
		_, err := config.Load(config.Input{Environ: environ})
		return err
	}
	if err := load(otp.MaxDeadline); err != nil {
		t.Errorf("the largest deadline is refused: %v", err)
	}
	if err := load(otp.MaxDeadline + time.Second); err == nil {
		t.Error("a deadline beyond otp.MaxDeadline is accepted")
	}
}
