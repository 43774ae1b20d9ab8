package inwebosim

import (
	"testing"
)

// TestWrongPINsBlock: two wrong ones leave attempts, the right one forgives them, three in a row block.
func TestWrongPINsBlock(t *testing.T) {
	s := started(t, Options{})
	c := enrolled(t, s)
	for range 2 {
		mustRefuse(t, c, "0000", "NOK:ACCESS")
		mustRefuse(t, c, "0001", "NOK:ACCESS")
		mustVerify(t, s, c)
	}
	mustRefuse(t, c, "0000", "NOK:ACCESS")
	mustRefuse(t, c, "0000", "NOK:ACCESS")
	mustRefuse(t, c, "0000", "NOK:NOK_BLOCKED")
	mustRefuse(t, c, c.pin, "NOK:NOK_BLOCKED")
	got := expectedState(t, s, c)
	if !got.Blocked || got.WrongPINs != 7 || got.WrongProofs != 7 || got.WrongInARow != 3 || got.WrongPeak != 3 {
		t.Errorf("truth: blocked %t, %+v", got.Blocked, got.Counters)
	}
	if err := s.Unblock(c.id); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, s, c)
	if got := expectedState(t, s, c); got.Blocked || got.WrongInARow != 0 || got.WrongPeak != 3 {
		t.Errorf("after the unblocking: blocked %t, %+v", got.Blocked, got.Counters)
	}
}

// TestBlockedAtFinalize: a block that comes between setup and finalize is answered there.
func TestBlockedAtFinalize(t *testing.T) {
	s := started(t, Options{})
	c := enrolled(t, s)
	r, err := c.ask(c.setupParams())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Block(c.id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ask(c.finalizeParams(r.one("challenge"), c.pin)); err == nil || err.Error() != "NOK:NOK_BLOCKED" {
		t.Errorf("ended with %v", err)
	}
}

// TestChallengeServesOnce: spent, replaced, invented and missing challenges are wrong proofs.
func TestChallengeServesOnce(t *testing.T) {
	s := with(t, func(k *Knobs) { k.WrongLimit = 0 })
	c := enrolled(t, s)
	finalize := func(challenge, want string) {
		t.Helper()
		_, err := c.ask(c.finalizeParams(challenge, c.pin))
		if got := errText(err); got != want {
			t.Fatalf("ended with %s, want %s", got, want)
		}
	}
	setup := func() string {
		t.Helper()
		r, err := c.ask(c.setupParams())
		if err != nil {
			t.Fatal(err)
		}
		return r.one("challenge")
	}
	finalize("", "NOK:ACCESS")
	if got := expectedState(t, s, c); got.Challenge != "" || got.WrongProofs != 1 || got.WrongPINs != 0 {
		t.Fatalf("truth %+v", got)
	}
	first := setup()
	if got := expectedState(t, s, c); got.Challenge != first || got.Overlaps != 0 {
		t.Fatalf("outstanding %s, overlaps %d", got.Challenge, got.Overlaps)
	}
	second := setup()
	finalize(first, "NOK:ACCESS")
	finalize(second, "NOK:ACCESS") // the first finalize took it
	if got := expectedState(t, s, c); got.Overlaps != 1 || got.MaxFinalizesPerChallenge != 2 {
		t.Errorf("overlaps %d, finalizes of one challenge %d", got.Overlaps, got.MaxFinalizesPerChallenge)
	}
	spent := setup()
	k1 := c.k1
	finalize(spent, "OK")
	finalize(spent, "NOK:ACCESS")
	if got := expectedState(t, s, c); got.K1 == k1 || got.PreviousK1 != k1 || got.Step != 1 {
		t.Errorf("K1 %s, previous %s, step %d", got.K1, got.PreviousK1, got.Step)
	}
}

func errText(err error) string {
	if err == nil {
		return "OK"
	}
	return err.Error()
}

// TestChallengesAreSigned: about half of them are negative.
func TestChallengesAreSigned(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	negative := 0
	for range 100 {
		r, err := c.ask(c.setupParams())
		if err != nil {
			t.Fatal(err)
		}
		if r.one("challenge")[0] == '-' {
			negative++
		}
	}
	if negative < 20 || negative > 80 {
		t.Errorf("%d of 100 challenges are negative", negative)
	}
}

// loseAnswer makes one round whose finalize answer never arrives; the service has moved on.
func loseAnswer(t *testing.T, s *Simulator, c *client) {
	t.Helper()
	if err := s.Plant(Fault{Kind: KindLostAnswer, Match: Match{Action: "ActionFinalize"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.round(c.pin); err == nil {
		t.Fatal("the answer was not lost")
	}
}

func TestLostFinalize(t *testing.T) {
	for _, ratchet := range []Ratchet{RatchetDK1, RatchetK1, RatchetK0K1, RatchetK0K1dK1} {
		for _, c := range []struct {
			how  LostFinalize
			want []string // of the next rounds, the last for ever
		}{
			{LostFinalizeStrict, []string{"NOK:ACCESS", "NOK:ACCESS", "NOK:NOK_BLOCKED"}},
			{LostFinalizeForbidden, []string{"NOK:FORBIDDEN", "NOK:FORBIDDEN", "NOK:FORBIDDEN", "NOK:FORBIDDEN"}},
			{LostFinalizeLenient, []string{"OK", "OK"}},
		} {
			t.Run(string(ratchet)+"/"+string(c.how), func(t *testing.T) {
				s := with(t, func(k *Knobs) { k.Ratchet, k.LostFinalize = ratchet, c.how })
				client := enrolled(t, s)
				mustVerify(t, s, client)
				loseAnswer(t, s, client)
				for i, want := range c.want {
					if _, err := client.round(client.pin); errText(err) != want && !isRefusal(err, want) {
						t.Fatalf("round %d ended with %v, want %s", i, err, want)
					}
				}
				if got := expectedState(t, s, client); int(got.StaleProofs) == 0 || got.Step < 2 {
					t.Errorf("truth %+v", got.Counters)
				}
				if c.how == LostFinalizeLenient {
					mustVerify(t, s, client)
				}
			})
		}
	}
}

// TestLenientOnceOnly: two answers lost in a row are one too many; and the PIN is still checked.
func TestLenientOnceOnly(t *testing.T) {
	s := with(t, func(k *Knobs) { k.Ratchet, k.LostFinalize = RatchetK0K1, LostFinalizeLenient })
	c := enrolled(t, s)
	loseAnswer(t, s, c)
	mustRefuse(t, c, "0000", "NOK:ACCESS")
	if got := expectedState(t, s, c); got.WrongPINs != 1 || got.StaleProofs != 0 {
		t.Errorf("truth %+v", got.Counters)
	}
	step := expectedState(t, s, c)
	loseAnswer(t, s, c)
	if got := expectedState(t, s, c); got.K1 != step.K1 || got.PreviousK1 != "" || got.Step != step.Step+1 {
		t.Errorf("catching up moved K1 from %s to %s", step.K1, got.K1)
	}
	mustRefuse(t, c, c.pin, "NOK:ACCESS")
}

// TestUncheckedPIN: a wrong PIN is answered OK and gets a password that no one accepts, and keys that it
// cannot open; kept as they were sent, the right PIN opens them.
func TestUncheckedPIN(t *testing.T) {
	s := with(t, func(k *Knobs) { k.CheckPIN, k.Ratchet = false, RatchetK0K1 })
	c := enrolled(t, s)
	wrong := *c
	wrong.pin = "0000"
	r, err := wrong.round(wrong.pin)
	if err != nil {
		t.Fatal(err)
	}
	if s.Verify(wrong.password(r.one("defi"))) {
		t.Error("a password made with the wrong PIN verifies")
	}
	mustRefuse(t, &wrong, wrong.pin, "NOK:ACCESS")
	if err := c.apply(r); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, s, c)
	if got := expectedState(t, s, c); got.WrongPINs != 1 || got.WrongPeak != 1 {
		t.Errorf("truth %+v", got.Counters)
	}
}

// TestLostFinalizeIsNoOverlap: a conversation after one whose finalize was lost is not beside it.
func TestLostFinalizeIsNoOverlap(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	if err := s.Plant(Fault{Kind: KindLostRequest, Match: Match{Action: "ActionFinalize"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.round(c.pin); err == nil {
		t.Fatal("the request was not lost")
	}
	mustVerify(t, s, c)
	if got := expectedState(t, s, c); got.Overlaps != 0 || got.MaxFinalizesPerChallenge != 1 || got.Finalizes != 3 {
		t.Errorf("counters %+v", got.Counters)
	}
}
