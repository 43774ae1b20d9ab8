package inwebosim

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// vector is a recorded conversation of a public client with another server.
type vector struct {
	PIN        string     `json:"pin"`
	Serial     string     `json:"serial"`
	KmaText    string     `json:"kma"`
	Secret     string     `json:"msSecret"`
	Kfact      string     `json:"kfact"`
	Kiw        string     `json:"kiw"`
	Activation vectorStep `json:"activation"`
	OTPs       []struct {
		vectorStep
		OTP string `json:"otp"`
	} `json:"otps"`
}

type vectorStep struct {
	Exchanges []struct {
		Request  map[string]string `json:"request"`
		Response string            `json:"response"`
	} `json:"exchanges"`
	State struct {
		K0     string `json:"K0"`
		K1     string `json:"K1"`
		Secval string `json:"secval"`
	} `json:"state"`
}

func vectors(t *testing.T) map[string]vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	all := map[string]vector{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = v
	}
	return all
}

func mustKey(t testing.TB, text string) key {
	t.Helper()
	k, err := parseKey(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return k
}

// TestVectors holds the service's arithmetic against the recorded conversations: Kma, secval, proofs,
// the movement of the keys, passwords.
func TestVectors(t *testing.T) {
	for name, v := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			kma := pinKey(v.PIN, v.Serial)
			secval := kma.encrypt(mustKey(t, v.Secret))
			if kma.String() != v.KmaText || secval.String() != v.Activation.State.Secval {
				t.Fatalf("Kma %s, secval %s; want %s, %s", kma, secval, v.KmaText, v.Activation.State.Secval)
			}
			d := &device{serial: v.Serial, pin: v.PIN, kma: kma}
			v.follow(t, d, v.Activation)
			for i, step := range v.OTPs {
				defi := v.follow(t, d, step.vectorStep)
				if got := otpText(d.k1, defi, secval); got != step.OTP {
					t.Errorf("password %d is %s, want %s", i, got, step.OTP)
				}
			}
		})
	}
}

// follow replays the exchanges of a step on the device, and returns the last defi.
func (v vector) follow(t *testing.T, d *device, step vectorStep) (defi string) {
	t.Helper()
	var challenge string
	for i, x := range step.Exchanges {
		r, err := parseReply(x.Request["action"], []byte(x.Response))
		if err != nil {
			t.Fatal(err)
		}
		p := proofs{x.Request["R0"], x.Request["R1"], x.Request["R2"]}
		if x.Request["action"] == "ActionFinalize" {
			v.checkProofs(t, i, d, x.Request["mode"], challenge, p)
		}
		if c := r.one("challenge"); c != "" {
			challenge = c
		}
		move := func(to *key, name string) {
			if sent := r.one(name); sent != "" {
				*to = mustKey(t, refAES(d.kma[:], sent, false))
				if d.kma.encrypt(*to).String() != sent {
					t.Errorf("exchange %d: %s would not be sent as %s", i, name, sent)
				}
			}
		}
		move(&d.k0, "K0")
		move(&d.k1, "K1")
		if dK1 := r.one("dK1"); dK1 != "" {
			d.k1 = afterDK1(d.k1, dK1)
		}
		defi = r.one("defi")
	}
	if d.k0.String() != step.State.K0 || d.k1.String() != step.State.K1 {
		t.Errorf("keys %s, %s; want %s, %s", d.k0, d.k1, step.State.K0, step.State.K1)
	}
	return defi
}

func (v vector) checkProofs(t *testing.T, i int, d *device, mode, challenge string, p proofs) {
	t.Helper()
	if mode == "activate" {
		if got := p.match("", "", "", d.serial, ""); got != (matches{true, true, true}) {
			t.Errorf("exchange %d: activation proofs judged %+v", i, got)
		}
		return
	}
	k0, k1 := d.k0.String(), d.k1.String()
	for _, c := range []struct {
		name            string
		k0, k1, pin     string
		want            matches
		challengeSuffix string
	}{
		{"right", k0, k1, d.pin, matches{true, true, true}, ""},
		{"another PIN", k0, k1, "4321", matches{true, true, false}, ""},
		{"another K1", k0, k0, d.pin, matches{true, false, true}, ""},
		{"another K0", k1, k1, d.pin, matches{}, ""},
		{"another challenge", k0, k1, d.pin, matches{}, "0"},
	} {
		if got := p.match(challenge+c.challengeSuffix, c.k0, c.k1, d.serial, c.pin); got != c.want {
			t.Errorf("exchange %d, %s: judged %+v, want %+v", i, c.name, got, c.want)
		}
	}
}

// TestReferenceUnseal makes sure that the tests' own client opens what the other server sealed.
func TestReferenceUnseal(t *testing.T) {
	for name, v := range vectors(t) {
		r, err := parseReply("ActionSetup", []byte(v.Activation.Exchanges[0].Response))
		if err != nil {
			t.Fatal(err)
		}
		kiw, err := refUnseal(v.Kfact, r.one("Kiw"))
		if err != nil || hex.EncodeToString(kiw) != v.Kiw {
			t.Errorf("%s: unsealed %x, %v", name, kiw, err)
		}
	}
}
