package inwebosim

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// movedBy names the keys that an answer moves.
func movedBy(r reply) string {
	var names []string
	for _, name := range []string{"K0", "K1", "dK1"} {
		if r.one(name) != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, "")
}

func effectOfRatchet(t *testing.T) {
	for _, ratchet := range ratchets() {
		s := with(t, func(k *Knobs) { k.Ratchet = ratchet })
		c := enrolled(t, s)
		want := strings.TrimPrefix(string(ratchet), "none")
		if r, err := c.round(c.pin); err != nil || movedBy(r) != want {
			t.Errorf("%s: the answer carried %s, %v", ratchet, movedBy(r), err)
		}
		if err := s.SetOverride(c.id, Override{Ratchet: RatchetK1, SecondRound: SecondRoundStubborn}); err != nil {
			t.Fatal(err)
		}
		if r, err := c.round(c.pin); err != nil || movedBy(r) != "K1" || r.one("J") == "" {
			t.Errorf("%s overridden: the answer carried %v, %v", ratchet, r, err)
		}
	}
}

// effectOfSecondRound counts which rounds carry J, and which of their passwords verify.
func effectOfSecondRound(t *testing.T) {
	for how, want := range map[SecondRound]struct{ js, verify string }{
		SecondRoundNever:      {"------", "yyyyyy"},
		SecondRoundAlways:     {"J-J-J-", "nynyny"},
		SecondRoundEveryOther: {"J--J--", "nyynyy"},
		SecondRoundStubborn:   {"JJJJJJ", "yyyyyy"},
	} {
		s := with(t, func(k *Knobs) { k.SecondRound = how })
		c := enrolled(t, s)
		var js, verify string
		for range 6 {
			r, err := c.round(c.pin)
			if err != nil {
				t.Fatal(err)
			}
			js += map[bool]string{true: "J", false: "-"}[r.one("J") != ""]
			verify += map[bool]string{true: "y", false: "n"}[s.Verify(c.password(r.one("defi")))]
		}
		if js != want.js || verify != want.verify {
			t.Errorf("%s: J %s, verified %s; want %s, %s", how, js, verify, want.js, want.verify)
		}
	}
}

func effectOfCheckCode(t *testing.T) {
	for check, want := range map[CodeCheck]string{CodeCheckSetup: "NOK:CODE", CodeCheckFinalize: "OK"} {
		s := with(t, func(k *Knobs) { k.CheckCode = check })
		p := newClient(t, s).params("ActionSetup", "activate")
		p.Set("code", "999999")
		if _, err := newClient(t, s).ask(p); errText(err) != want {
			t.Errorf("%s: the setup ended with %v, want %s", check, err, want)
		}
	}
}

func effectOfPinMode(t *testing.T) {
	s := with(t, func(k *Knobs) { k.PinMode = "9" })
	p := newClient(t, s).params("ActionSetup", "activate")
	p.Set("code", DefaultCode)
	if r, err := newClient(t, s).ask(p); err != nil || r.one("pinmode") != "9" {
		t.Errorf("pinmode %v, %v", r["pinmode"], err)
	}
}

func effectOfStrictParameters(t *testing.T) {
	for strict, want := range map[bool]string{true: "NOK:SN", false: "OK"} {
		s := with(t, func(k *Knobs) { k.StrictParameters = strict })
		c := enrolled(t, s)
		for _, name := range []string{"macid", "version", "lastsync"} {
			for _, value := range []string{"", "!"} {
				p := c.setupParams()
				p.Set(name, value)
				if _, err := c.ask(p); errText(err) != want {
					t.Errorf("strict %t, %s=%q: ended with %v, want %s", strict, name, value, err, want)
				}
			}
		}
		twice := c.setupParams()
		twice.Add("sid", c.sid)
		if _, err := c.ask(twice); errText(err) != want {
			t.Errorf("strict %t, sid twice: ended with %v, want %s", strict, err, want)
		}
		for name, spoil := range map[string]func(url.Values){
			"no lang":         func(p url.Values) { p.Del("lang") },
			"no ack":          func(p url.Values) { p.Del("ack") },
			"ack with text":   set("ack", "x"),
			"another keytype": set("keytype", "1"),
			"no keytype":      func(p url.Values) { p.Del("keytype") },
		} {
			r, err := c.ask(c.setupParams())
			if err != nil {
				t.Fatal(err)
			}
			p := c.finalizeParams(r.one("challenge"), c.pin)
			spoil(p)
			r, err = c.ask(p)
			if errText(err) != want {
				t.Errorf("strict %t, %s: ended with %v, want %s", strict, name, err, want)
			}
			if err := c.apply(r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func effectOfShuffle(t *testing.T) {
	orders := func(shuffle bool) int {
		s := with(t, func(k *Knobs) { k.Shuffle, k.Ratchet = shuffle, RatchetK0K1 })
		c := enrolled(t, s)
		seen := map[string]bool{}
		for range 30 {
			r, err := c.ask(c.setupParams())
			if err != nil {
				t.Fatal(err)
			}
			_, body, err := c.raw(c.finalizeParams(r.one("challenge"), c.pin))
			if err != nil {
				t.Fatal(err)
			}
			order := []string{"<err>", "<defi>", "<K0>", "<K1>"}
			slices.SortFunc(order, func(a, b string) int {
				return bytes.Index(body, []byte(a)) - bytes.Index(body, []byte(b))
			})
			seen[strings.Join(order, "")] = true
			if r, err = parseReply("ActionFinalize", body); err != nil {
				t.Fatal(err)
			}
			if err := c.apply(r); err != nil {
				t.Fatal(err)
			}
		}
		return len(seen)
	}
	if still, shuffled := orders(false), orders(true); still != 1 || shuffled < 8 {
		t.Errorf("%d orders unshuffled, %d shuffled", still, shuffled)
	}
}

func effectOfEmptyFields(t *testing.T) {
	s := with(t, func(k *Knobs) { k.EmptyFields, k.Ratchet = true, RatchetNone })
	c := enrolled(t, s)
	r, err := c.round(c.pin)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"K0", "K1", "dK1", "J", "s_n", "Tsync"} {
		if len(r[name]) != 1 || r.one(name) != "" {
			t.Errorf("%s is %v, want one empty element", name, r[name])
		}
	}
}

func effectOfResync(t *testing.T) {
	s := with(t, func(k *Knobs) { k.ResyncEvery = 2 })
	c := enrolled(t, s)
	first := c.lastsync
	for round := range 4 {
		r, err := c.round(c.pin)
		if err != nil || (r.one("Tsync") != "") != (round%2 == 1) || (r.one("s_n") == "1") != (round%2 == 1) {
			t.Errorf("round %d: Tsync %v, s_n %v, %v", round, r["Tsync"], r["s_n"], err)
		}
	}
	if c.lastsync <= first {
		t.Errorf("lastsync went from %s to %s", first, c.lastsync)
	}
	c.lastsync = first
	if _, err := c.round(c.pin); err != nil || expectedState(t, s, c).StaleSyncs != 2 {
		t.Errorf("a forgotten Tsync: %v, %+v", err, expectedState(t, s, c).Counters)
	}
}

func effectOfServices(t *testing.T) {
	s := with(t, func(k *Knobs) { k.Services = 3 })
	c := newClient(t, s)
	r, err := c.activateOnly(DefaultCode)
	if err != nil || r.one("s_n") != "3" || len(r["s_id"]) != 3 || r["s_name"][2] != "Peugeot & Citroën "+r["s_id"][2] {
		t.Fatalf("services %v, names %v, %v", r["s_id"], r["s_name"], err)
	}
	if _, err := c.ask(c.msParams(r)); err != nil {
		t.Fatal(err)
	}
	for _, sid := range r["s_id"] {
		c.sid = sid
		mustVerify(t, s, c)
	}
	c.sid = "1"
	mustRefuse(t, c, c.pin, "NOK:NOSRV")
}

func effectOfSecrets(t *testing.T) {
	s := with(t, func(k *Knobs) { k.Secrets = 4 })
	c := newClient(t, s)
	r, err := c.activateOnly(DefaultCode)
	if err != nil || r.one("ms_n") != "4" || len(r["ms_id"]) != 4 || len(r["ms_key"]) != 4 {
		t.Fatalf("ms_n %v, %d keys, %v", r["ms_n"], len(r["ms_key"]), err)
	}
	if _, err := c.ask(c.msParams(r)); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, s, c)

	s = with(t, func(k *Knobs) { k.Secrets = 0 })
	c = newClient(t, s)
	if r, err = c.activateOnly(DefaultCode); err != nil || r.one("ms_n") != "0" || r.one("challenge") != "" {
		t.Fatalf("%v, %v", r, err)
	}
	mustRefuse(t, c, c.pin, "NOK:FORBIDDEN")
}

func effectOfSecretsMove(t *testing.T) {
	for moves, want := range map[bool]string{true: "K1", false: ""} {
		s := with(t, func(k *Knobs) { k.SecretsMove, k.Ratchet = moves, RatchetK1 })
		c := newClient(t, s)
		r, err := c.activateOnly(DefaultCode)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = c.ask(c.msParams(r)); err != nil || movedBy(r) != want {
			t.Errorf("ms-moves %t: the ms answer carried %s, %v", moves, movedBy(r), err)
		}
	}
}

func effectOfWrongLimit(t *testing.T) {
	s := with(t, func(k *Knobs) { k.WrongLimit = 1 })
	c := enrolled(t, s)
	mustRefuse(t, c, "0000", "NOK:NOK_BLOCKED")
	s = with(t, func(k *Knobs) { k.WrongLimit = 0 })
	c = enrolled(t, s)
	for range 10 {
		mustRefuse(t, c, "0000", "NOK:ACCESS")
	}
	mustVerify(t, s, c)
}

// effectOfRefusalsMove: a refused PIN moves the keys, wrong keys do not.
func effectOfRefusalsMove(t *testing.T) {
	for _, moves := range []bool{false, true} {
		s := with(t, func(k *Knobs) { k.RefusalsMove, k.WrongLimit = moves, 0 })
		c := enrolled(t, s)
		r, err := c.round("0000")
		if !isRefusal(err, "NOK:ACCESS") || (movedBy(r) == "dK1") != moves {
			t.Errorf("refusals-move %t: the refusal carried %s, %v", moves, movedBy(r), err)
		}
		mustVerify(t, s, c)
		stale := *c
		stale.k1 = randomHex(16)
		if r, err := stale.round(c.pin); !isRefusal(err, "NOK:ACCESS") || movedBy(r) != "" {
			t.Errorf("refusals-move %t: the refusal of wrong keys carried %s, %v", moves, movedBy(r), err)
		}
		mustVerify(t, s, c)
	}
}
