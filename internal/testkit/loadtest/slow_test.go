package loadtest_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// dribble opens a connection, sends the beginning of a request and then a letter now and then, and tells after how long
// the daemon has had enough of it.
func dribble(t *testing.T, address, beginning, letter string) time.Duration {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Errorf("connect: %v", err)
		return 0
	}
	defer conn.Close()
	began := time.Now()
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		_, _ = io.Copy(io.Discard, conn) // until the daemon closes
	}()
	_, _ = io.WriteString(conn, beginning)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-cut:
			return time.Since(began)
		case <-tick.C:
			_, _ = io.WriteString(conn, letter)
		}
		if time.Since(began) > time.Minute {
			t.Error("the connection is still open after a minute")
			return time.Since(began)
		}
	}
}

// A thousand connections that send slowly, or nothing, are cut off in time and keep no good caller from its OTPs: though
// they are many more than the places for calls, and though some of them have a good key.
func TestSlowLoris(t *testing.T) {
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) {
		s.Config.HTTP.PartTimeout, s.Config.HTTP.IdleTimeout = 3*time.Second, 3*time.Second
		s.Config.Load.InFlight, s.Config.Load.Waiting = 4, 4
	})
	a := d.Enroll("alice", aPIN)
	address := strings.TrimPrefix(d.URL(""), "http://")
	const head = "POST /v1/authentication/otp HTTP/1.1\r\nHost: pimsd\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n"
	kinds := []struct{ beginning, letter string }{
		{"", ""},                                 // silent
		{"POST /v1/authentication/otp HTT", "P"}, // in the request line
		{head + "X-Padding: ", "x"},              // in the header
		{head + "\r\n{", " "},                    // in the body
		{head + "Authorization: Bearer " + a.Key + "\r\n\r\n{", " "}, // in the body, with a good key
	}
	const each = 200
	var all sync.WaitGroup
	var mu sync.Mutex
	longest := time.Duration(0)
	for _, kind := range kinds {
		for range each {
			all.Go(func() {
				took := dribble(t, address, kind.beginning, kind.letter)
				mu.Lock()
				defer mu.Unlock()
				longest = max(longest, took)
			})
		}
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	given, slowest := 0, time.Duration(0)
	for under := true; under; {
		began := time.Now()
		if answer := a.OTP(aPIN); answer.OTP == "" {
			t.Fatalf("among slow senders: %d %s", answer.Status, answer.Body)
		}
		slowest = max(slowest, time.Since(began))
		given++
		select {
		case <-ended:
			under = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Logf("%d OTPs among %d slow connections, the slowest in %v; the last connection was cut after %v",
		given, each*len(kinds), slowest, longest)
	if longest > 15*time.Second {
		t.Errorf("a slow connection was kept for %v", longest)
	}
}
