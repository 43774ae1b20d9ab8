package historytest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
)

// site is an inWebo that is asked over sockets, from inside of a synctest bubble. It remembers its last answer.
type site struct {
	*inwebosim.Simulator
	url *url.URL

	mu     sync.Mutex
	answer []byte
}

// otpLife outlasts the moment between an OTP and its check, by the machine's clock.
const otpLife = 20 * time.Second

func newSite(t *testing.T) *site {
	t.Helper()
	knobs := inwebosim.DefaultKnobs()
	knobs.OTPLife = inwebosim.Duration(otpLife)
	sim, err := inwebosim.New(inwebosim.Options{Knobs: knobs, Seed: 13, HistoryLimit: -1})
	must(t, err)
	sim.Start()
	s := &site{Simulator: sim}
	server := httptest.NewServer(s.remembering(sim.Handler()))
	s.url, err = url.Parse(server.URL)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := sim.Stop(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client returns a new client of the site.
func (s *site) client() *inwebo.Client {
	return inwebo.New(inwebo.Config{
		BaseURL: s.url, Path: "/iwws/MAC", MacID: "bb8e981582b0f31353108fb020bead1c", Version: "Generator-1.0/0.2.11",
		UserAgent: "test", DeviceName: "test", Language: "fr", ExchangeTimeout: time.Minute, DialTimeout: time.Minute,
	})
}

// remembering remembers what door answers, unless it takes over the connection.
func (s *site) remembering(door http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		door.ServeHTTP(&tee{ResponseWriter: w, site: s}, r)
	})
}

// lastAnswer returns the last answer, as a client that cannot read it would keep it.
func (s *site) lastAnswer() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.answer)
}

// tee lets the site remember what is written.
type tee struct {
	http.ResponseWriter
	site    *site
	written []byte
}

func (t *tee) Write(b []byte) (int, error) {
	t.site.mu.Lock()
	t.written = append(t.written, b...)
	t.site.answer = t.written
	t.site.mu.Unlock()
	return t.ResponseWriter.Write(b)
}

// Unwrap lets an http.ResponseController find the connection.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// count is what inWebo has counted of a device, or of an account that has a PIN: all of its devices then.
type count struct {
	wrong, inARow int
}

// counts returns every count that blocks something, by the id of a device or the login of an account with a PIN.
func (s *site) counts(login string, hasPIN bool) map[string]count {
	counts := map[string]count{}
	if hasPIN {
		expected, err := s.AccountState(login)
		if err == nil {
			counts[login] = count{int(expected.Guesses.Wrong), int(expected.Guesses.InARow)}
		}
		return counts
	}
	for _, id := range s.DeviceIDs() {
		expected := s.expected(id)
		counts[id] = count{int(expected.WrongProofs), int(expected.WrongInARow)}
	}
	return counts
}

// expected is what inWebo knows of a device that it must know.
func (s *site) expected(id string) inwebosim.DeviceState {
	expected, err := s.DeviceState(id)
	if err != nil {
		panic(fmt.Errorf("device %q: %w", id, err))
	}
	return expected
}
