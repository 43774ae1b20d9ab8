package inwebosim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewReportsEveryFault(t *testing.T) {
	_, err := New(Options{
		Listen: "0.0.0.0:0", Control: "nothing", Knobs: Knobs{Ratchet: "x"}, Accounts: []Account{{}},
	})
	for _, part := range []string{"listen address", "control address", "ratchet is", "needs a login"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not reported: %v", part, err)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.8.0.1:0": true, "[::1]:0": true, "localhost:0": true, "": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "10.0.0.1:0": false, "example.com:0": false,
	} {
		o := Options{Listen: address}.withDefaults()
		if got := o.validate() == nil; got != want {
			t.Errorf("%q accepted: %t", address, got)
		}
		o.BeyondLoopback = true
		if err := o.validate(); err != nil {
			t.Errorf("%q refused though it is meant: %v", address, err)
		}
	}
}

// TestBindsBothOrNone frees the first listener when the second cannot be bound.
func TestBindsBothOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	if _, err := New(Options{Listen: address, Control: taken.Addr().String()}); err == nil {
		t.Fatal("bound a taken address")
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the first listener is still bound: %v", err)
	}
	_ = again.Close()
}

func TestStopWithoutStart(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if _, err := net.Dial("tcp", s.protocol.socket.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

// TestStopEndsWaits: a delay of an hour does not hold it up.
func TestStopEndsWaits(t *testing.T) {
	for _, n := range []Fault{
		{Kind: KindDelay, Delay: Duration(time.Hour)},
		{Kind: KindDelay, Hold: Duration(time.Hour)},
		{Kind: KindDrip, Bytes: 1, Interval: Duration(time.Hour)},
	} {
		s := started(t, Options{})
		plant(t, s, n)
		c := newClient(t, s)
		arrived := make(chan struct{})
		s.SetHooks(Hooks{Before: func(Exchange) { close(arrived) }})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.activate(DefaultCode); err == nil {
				t.Error("the request was answered")
			}
		})
		<-arrived
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("Stop: %v", err)
		}
		wg.Wait()
	}
}

// TestStopIsBounded: a hook that never returns costs Stop its context and no more.
func TestStopIsBounded(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	s.Start() // does nothing
	c := newClient(t, s)
	arrived, release := make(chan struct{}), make(chan struct{})
	s.SetHooks(Hooks{After: func(Exchange) { close(arrived); <-release }})
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.activate(DefaultCode) })
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop: %v", err)
	}
	close(release)
	wg.Wait()
	if err := s.Stop(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second Stop: %v", err)
	}
	<-s.gate.empty
}

func TestOtherPathsAndMethods(t *testing.T) {
	s := started(t, Options{})
	defer http.DefaultClient.CloseIdleConnections()
	for call, want := range map[string]int{
		"GET /": 404, "GET /iwws/mac": 404, "POST /iwws/MAC": 405, "POST /FS": 405, "GET /iwws/MAC?a=%zz": 400, "GET /iwws/MAC": 200,
	} {
		method, path, _ := strings.Cut(call, " ")
		request, err := http.NewRequest(method, s.ProtocolURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: HTTP %d, want %d", call, response.StatusCode, want)
		}
	}
}

// TestHooksPauseTheWorld holds a finalize after its processing: the service has moved, the client not.
func TestHooksPauseTheWorld(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	before := expectedState(t, s, c)
	var seen []string
	s.SetHooks(Hooks{
		Before: func(x Exchange) { seen = append(seen, "before "+x.Action+" "+truthOf(s, x.ID).K1) },
		After:  func(x Exchange) { seen = append(seen, "after "+x.Action+" "+truthOf(s, x.ID).K1) },
	})
	mustVerify(t, s, c)
	s.SetHooks(Hooks{})
	mustVerify(t, s, c)
	k1 := expectedState(t, s, c).PreviousK1
	want := []string{
		"before ActionSetup " + before.K1, "after ActionSetup " + before.K1,
		"before ActionFinalize " + before.K1, "after ActionFinalize " + k1,
	}
	if strings.Join(seen, ", ") != strings.Join(want, ", ") {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

func truthOf(s *Simulator, id string) DeviceState {
	got, _ := s.DeviceState(id)
	return got
}

func TestHistory(t *testing.T) {
	k := DefaultKnobs()
	s := started(t, Options{HistoryLimit: 4, Knobs: k})
	c := enrolled(t, s)
	mustVerify(t, s, c)
	all := s.History(Match{})
	if len(all) != 4 || all[0].Number != 2 || all[3].Number != 5 {
		t.Fatalf("history %+v", all)
	}
	x := all[3]
	if x.Action != "ActionFinalize" || x.Mode != "otp" || x.ID != c.id || x.Outcome != "OK" || !x.Processed || !x.Answered ||
		x.Path != "/iwws/MAC" || x.Params.Get("R2") == "" || x.Header.Get("User-Agent") == "" || x.Conn != all[0].Conn || x.Time.IsZero() {
		t.Errorf("exchange %+v", x)
	}
	if ms := s.History(Match{Mode: "ms"}); len(ms) != 1 || ms[0].Params.Get("ms_n") != "1" {
		t.Errorf("ms: %+v", ms)
	}
	mustRefuse(t, c, "0000", "NOK:ACCESS")
	if rest := s.History(Match{}); len(rest) != 4 || rest[3].Number != 7 || rest[3].Outcome != "NOK:ACCESS" {
		t.Errorf("history %+v", rest)
	}
	none := started(t, Options{HistoryLimit: -1})
	enrolled(t, none)
	if rest := none.History(Match{}); len(rest) != 0 {
		t.Errorf("history %+v", rest)
	}
}

// TestReplay: the same seed and the same requests produce the same answers, byte for byte, though another
// device talks in between; another seed gives others.
func TestReplay(t *testing.T) {
	run := func(seed uint64, withNoise bool) (transcript string) {
		k := DefaultKnobs()
		k.Ratchet, k.SecondRound, k.Secrets = RatchetK0K1dK1, SecondRoundEveryOther, 2
		s := started(t, Options{Seed: seed, Knobs: k, Now: newClock().Now})
		c := newClient(t, s)
		c.serial = "replay/_/0123456789abcdef0123456789abcdef"
		record := &recorder{next: c.http.Transport}
		c.http.Transport = record
		noise := newClient(t, s)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(c.activate(DefaultCode))
		if withNoise {
			must(noise.activate(DefaultCode))
		}
		for range 5 {
			_, err := c.round(c.pin)
			must(err)
			if withNoise {
				_, err = noise.round(noise.pin)
				must(err)
			}
		}
		if s.Seed() != seed {
			t.Errorf("seed %d became %d", seed, s.Seed())
		}
		return record.bodies.String()
	}
	one := run(5, false)
	if one != run(5, true) {
		t.Error("the same seed gave other answers")
	}
	if one == run(6, false) {
		t.Error("another seed gave the same answers")
	}
	unseeded := started(t, Options{})
	if unseeded.Seed() == 0 || unseeded.Seed() == started(t, Options{}).Seed() {
		t.Error("no seed of its own was drawn")
	}
}

// TestDevicesAtOnce runs devices side by side and a wild one that is shared, for the race detector.
func TestDevicesAtOnce(t *testing.T) {
	s := with(t, func(k *Knobs) { k.Ratchet, k.WrongLimit = RatchetK0K1, 0 })
	shared := enrolled(t, s)
	var wg sync.WaitGroup
	for range 8 {
		c := newClient(t, s)
		wild := *shared
		wg.Go(func() {
			if err := c.activate(DefaultCode); err != nil {
				t.Errorf("activation: %v", err)
				return
			}
			for range 20 {
				if otp, err := c.otp(); err != nil || !s.Verify(otp) {
					t.Errorf("%q, %v", otp, err)
				}
				_, _ = wild.round(wild.pin)
				_, _ = s.DeviceState(c.id)
			}
		})
	}
	wg.Wait()
	total := s.Totals()
	if total.Issued < 160 || total.Verified != 160 || total.Activations != 9 || total.MaxFinalizesPerChallenge < 1 {
		t.Errorf("totals %+v", total)
	}
}
