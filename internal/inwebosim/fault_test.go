package inwebosim

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faultEffect is one otp finalize under a fault, and what it must look like from outside.
type faultEffect struct {
	n         Fault
	want      string // err text, or what the body must contain
	processed bool
	answered  bool
}

func faultEffects() map[string]faultEffect {
	return map[string]faultEffect{
		"delay":                {Fault{Kind: KindDelay, Delay: 1}, "OK", true, true},
		"lost-request":         {Fault{Kind: KindLostRequest}, "EOF", false, false},
		"lost-answer":          {Fault{Kind: KindLostAnswer}, "EOF", true, false},
		"cut in the head":      {Fault{Kind: KindCut, Bytes: 17}, "EOF", true, false},
		"cut at 0":             {Fault{Kind: KindCut}, "EOF", true, false},
		"cut in the body":      {Fault{Kind: KindCut, Bytes: -1}, "EOF", true, false},
		"cut behind the end":   {Fault{Kind: KindCut, Bytes: 99999}, "OK", true, true},
		"truncated":            {Fault{Kind: KindTruncated}, "XML syntax error", true, true},
		"truncated by one":     {Fault{Kind: KindTruncated, Bytes: -1}, "XML syntax error", true, true},
		"other-root":           {Fault{Kind: KindOtherRoot}, "root is ActionNothing", true, true},
		"entity-bomb":          {Fault{Kind: KindEntityBomb}, "body:<m_text>&z9;</m_text>", true, true},
		"empty":                {Fault{Kind: KindEmpty}, "EOF", true, true},
		"html":                 {Fault{Kind: KindHTML}, "body:<!DOCTYPE html>", false, true},
		"status 500":           {Fault{Kind: KindStatus, Status: 500}, "HTTP 500", false, true},
		"status 301":           {Fault{Kind: KindStatus, Status: 301, Location: "http://127.0.0.1:1/"}, "HTTP 301", false, true},
		"status and processed": {Fault{Kind: KindStatus, Status: 503, Process: new(true)}, "HTTP 503", true, true},
		"drip":                 {Fault{Kind: KindDrip, Bytes: 100, Interval: 1}, "OK", true, true},
		"err":                  {Fault{Kind: KindErr, Err: "NOK:SAT"}, "NOK:SAT", false, true},
		"err that moves":       {Fault{Kind: KindErr, Err: "NOK:STATE", Process: new(true)}, "NOK:STATE", true, true},
		"err OK:BLOCKED":       {Fault{Kind: KindErr, Err: "OK:BLOCKED", Process: new(true)}, "OK:BLOCKED", true, true},
		"synchro-failed":       {Fault{Kind: KindSynchroFailed}, "NOK:SYNCHROFAILED", true, true},
		"extra":                {Fault{Kind: KindExtra}, "OK", true, true},
		"extra and dropped":    {Fault{Kind: KindExtra, Drop: []string{"err"}, Fields: []Field{{"err", "NOK:<&>"}}}, "NOK:<&>", true, true},
		"form":                 {Fault{Kind: KindForm, Form: "root-attributes"}, "OK", true, true},
	}
}

func TestEveryFault(t *testing.T) {
	shown := map[Kind]bool{}
	for name, c := range faultEffects() {
		shown[c.n.Kind] = true
		t.Run(name, func(t *testing.T) { c.show(t) })
	}
	for _, kind := range kinds() {
		if !shown[kind] {
			t.Errorf("no test shows what %s does", kind)
		}
	}
}

func (e faultEffect) show(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	e.n.Match = Match{Action: "ActionFinalize", Mode: "otp", ID: c.id}
	if err := s.Plant(e.n); err != nil {
		t.Fatal(err)
	}
	r, err := c.ask(c.setupParams())
	if err != nil {
		t.Fatal(err)
	}
	p := c.finalizeParams(r.one("challenge"), c.pin)
	if body, isBody := strings.CutPrefix(e.want, "body:"); isBody {
		status, got, err := c.raw(p)
		if err != nil || status != http.StatusOK || !bytes.Contains(got, []byte(body)) {
			t.Errorf("HTTP %d, %v, and a body of %d bytes without %s", status, err, len(got), body)
		}
	} else if _, err = c.ask(p); !strings.Contains(errText(err), e.want) && !isCutOff(err, e.want) {
		t.Errorf("ended with %v, want %s", err, e.want)
	}
	if step := expectedState(t, s, c).Step; (step == 1) != e.processed {
		t.Errorf("processed: %t", step == 1)
	}
	last := s.History(Match{Action: "ActionFinalize", Mode: "otp"})
	if len(last) != 1 || last[0].Fault != e.n.Kind || last[0].Processed != e.processed || last[0].Answered != e.answered {
		t.Errorf("history %+v", last)
	}
	if left := s.Planted(); len(left) != 0 {
		t.Errorf("still planted: %+v", left)
	}
	if e.processed != (expectedState(t, s, c).Challenge == "") {
		t.Errorf("outstanding challenge %q", expectedState(t, s, c).Challenge)
	}
}

// isCutOff takes every way in which a connection can be seen to end for an EOF.
func isCutOff(err error, want string) bool {
	return want == "EOF" && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET))
}

// TestRefusalThatMoves: a refusal can carry the new keys of a request that was processed.
func TestRefusalThatMoves(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	if err := s.Plant(Fault{Kind: KindErr, Err: "NOK:STATE", Process: new(true), Match: Match{Action: "ActionFinalize"}}); err != nil {
		t.Fatal(err)
	}
	r, err := c.round(c.pin)
	if errText(err) != "NOK:STATE" || r.one("dK1") == "" || r.one("defi") == "" {
		t.Fatalf("%v, %v", r, err)
	}
	mustVerify(t, s, c)
}

func TestFaultTurns(t *testing.T) {
	s := with(t, func(k *Knobs) { k.WrongLimit = 0 })
	c := enrolled(t, s)
	if err := s.Plant(
		Fault{Kind: KindErr, Err: "NOK:SAT", Match: Match{Mode: "otp", Action: "ActionSetup"}, Skip: 2, Times: 2},
		Fault{Kind: KindErr, Err: "NOK:URL", Match: Match{ID: "another"}, Times: -1},
	); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 5 {
		_, err := c.ask(c.setupParams())
		got = append(got, errText(err))
	}
	if text := strings.Join(got, " "); text != "OK OK NOK:SAT NOK:SAT OK" {
		t.Errorf("the setups ended with %s", text)
	}
	if left := s.Planted(); len(left) != 1 || left[0].Err != "NOK:URL" {
		t.Errorf("planted: %+v", left)
	}
	s.ClearFaults()
	if left := s.Planted(); len(left) != 0 {
		t.Errorf("still planted: %+v", left)
	}
}

// TestFaultByChance strikes about as often as told, and at the same requests with the same seed.
func TestFaultByChance(t *testing.T) {
	run := func(seed uint64) (struck string) {
		s := started(t, Options{Seed: seed})
		plant(t, s, Fault{Kind: KindErr, Err: "NOK:SAT", Chance: 0.3, Match: Match{Mode: "otp"}})
		c := newClient(t, s)
		c.serial = "fleet/_/0123456789abcdef0123456789abcdef"
		if err := c.activate(DefaultCode); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			_, err := c.ask(c.setupParams())
			struck += map[bool]string{true: "-", false: "!"}[err == nil]
		}
		return struck
	}
	one, again, other := run(5), run(5), run(6)
	if n := strings.Count(one, "!"); n < 30 || n > 90 || one != again || one == other {
		t.Errorf("struck %d of 200; same seed the same: %t, another the same: %t", n, one == again, one == other)
	}
}

func TestInvalidFaults(t *testing.T) {
	s := with(t, func(*Knobs) {})
	for name, n := range map[string]Fault{
		"no kind": {}, "kind": {Kind: "x"}, "skip": {Kind: KindDelay, Skip: -1}, "chance": {Kind: KindDelay, Chance: 1.1},
		"delay": {Kind: KindDelay, Delay: -1}, "status": {Kind: KindStatus}, "err": {Kind: KindErr}, "drip": {Kind: KindDrip},
		"lost and processed": {Kind: KindLostRequest, Process: new(true)}, "field": {Kind: KindExtra, Fields: []Field{{"a b", ""}}},
		"form": {Kind: KindForm, Form: "none"},
	} {
		if err := s.Plant(Fault{Kind: KindEmpty}, n); err == nil || len(s.Planted()) != 0 {
			t.Errorf("%s: %v, planted %d", name, err, len(s.Planted()))
		}
	}
}

// TestPlainGETIsSentTwice shows the trap that the counters are for: the standard library's client
// repeats a GET without a body when a connection that it reused dies.
func TestPlainGETIsSentTwice(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	r, err := c.ask(c.setupParams())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Plant(Fault{Kind: KindLostAnswer}); err != nil {
		t.Fatal(err)
	}
	response, err := c.http.Get(c.base + "?" + c.finalizeParams(r.one("challenge"), c.pin).Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), "NOK:ACCESS") {
		t.Errorf("the repeated finalize was answered %s, %v", body, err)
	}
	if got := expectedState(t, s, c); got.MaxFinalizesPerChallenge != 2 || got.WrongProofs != 1 {
		t.Errorf("counters %+v", got.Counters)
	}
}

// TestDelayedRequestIsProcessed although its client has given up.
func TestDelayedRequestIsProcessed(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	arrived, done := make(chan struct{}), make(chan struct{})
	s.SetHooks(Hooks{
		Before: func(x Exchange) {
			if x.Mode == "otp" {
				close(arrived)
			}
		},
		After: func(Exchange) { close(done) },
	})
	if err := s.Plant(Fault{Kind: KindDelay, Delay: Duration(20 * time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.ProtocolURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /iwcxf/MAC?"+c.setupParams().Encode()+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-arrived
	_ = conn.Close()
	<-done
	if expectedState(t, s, c).Challenge == "" {
		t.Error("the setup was not processed")
	}
}
