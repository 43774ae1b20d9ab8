package ratchet_test

import (
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// vector is one recorded device: whole exchanges, the state after each step, the OTPs that a server accepted.
type vector struct {
	PIN, DeviceID, Alea, Serial, Kma, MSSecret, Kfact, Kiw string
	Activation                                             step
	OTPs                                                   []step
}

type step struct {
	Exchanges []struct {
		Request  map[string]string
		Response string
	}
	State struct{ K0, K1, Secval string }
	OTP   string
}

func readVectors(t testing.TB) map[string]vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors to replay: %v", err)
	}
	vectors := make(map[string]vector)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors[filepath.Base(file)] = v
	}
	return vectors
}

func TestVectorsReplay(t *testing.T) {
	for name, v := range readVectors(t) {
		t.Run(name, func(t *testing.T) {
			r := newReplay(t, v)
			r.activate(v.Activation)
			for _, otp := range v.OTPs {
				r.issue(otp)
			}
		})
	}
}

type replay struct {
	*testing.T
	pin    secret.Text
	serial ratchet.Serial
	kma    ratchet.Kma
	state  ratchet.State
}

func newReplay(t *testing.T, v vector) *replay {
	r := &replay{T: t, pin: secret.NewText(v.PIN)}
	alea, err := hex.DecodeString(v.Alea)
	if err != nil {
		t.Fatal(err)
	}
	r.serial, err = ratchet.NewSerial(v.DeviceID, bytesReader(alea))
	if err != nil || string(r.serial) != v.Serial {
		t.Fatalf("serial %q, %v; want %q", r.serial, err, v.Serial)
	}
	r.kma = ratchet.NewKma(r.pin, r.serial)
	drawn, _ := hex.DecodeString(v.MSSecret)
	if r.state.Secret, err = ratchet.NewSecret(bytesReader(drawn)); err != nil {
		t.Fatal(err)
	}
	r.assertKeysUnseal(v)
	return r
}

func (r *replay) assertKeysUnseal(v vector) {
	setup := fields(r, v.Activation.Exchanges[0].Response)
	kfact, err := ratchet.ParsePublicKey(setup["Kfact"])
	if err != nil {
		r.Fatal(err)
	}
	kiw, err := kfact.UnsealKey(setup["Kiw"])
	if err != nil {
		r.Fatalf("unseal Kiw: %v", err)
	}
	if want, _ := ratchet.ParsePublicKey(v.Kiw); !kiw.Equal(want) {
		r.Error("Kiw is not the one of the vector")
	}
	if _, err := kfact.UnsealKey(fields(r, v.Activation.Exchanges[1].Response)["ms_key"]); err != nil {
		r.Errorf("unseal ms_key: %v", err)
	}
}

func (r *replay) activate(activation step) {
	exchanges := activation.Exchanges
	r.assertProofs(exchanges[1].Request, ratchet.ActivationProofs(r.serial))
	activated := fields(r, exchanges[1].Response)
	r.state = r.state.Told(r.move(activated))
	opened := r.state.Open(r.kma)
	r.assertProofs(exchanges[2].Request, ratchet.Prove(activated["challenge"], opened, r.serial, r.pin))
	r.state = r.state.Accepted(opened, r.move(fields(r, exchanges[2].Response)))
	r.assertState(activation)
}

func (r *replay) issue(otp step) {
	var made secret.Text
	for i := 0; i < len(otp.Exchanges); i += 2 {
		challenge := fields(r, otp.Exchanges[i].Response)["challenge"]
		opened := r.state.Open(r.kma)
		r.assertProofs(otp.Exchanges[i+1].Request, ratchet.Prove(challenge, opened, r.serial, r.pin))
		answer := fields(r, otp.Exchanges[i+1].Response)
		r.state = r.state.Accepted(opened, r.move(answer))
		made = ratchet.OTP(r.state.Open(r.kma).K1, answer["defi"], r.kma.Secval(r.state.Secret))
	}
	if made.Reveal() != otp.OTP {
		r.Errorf("OTP %q, want %q", made.Reveal(), otp.OTP)
	}
	r.assertState(otp)
}

func (r *replay) move(answer map[string]string) ratchet.Move {
	move, err := ratchet.NewMove(answer["K0"], answer["K1"], answer["dK1"])
	if err != nil {
		r.Fatal(err)
	}
	return move
}

func (r *replay) assertProofs(request map[string]string, got ratchet.Proofs) {
	r.Helper()
	if want := (ratchet.Proofs{R0: request["R0"], R1: request["R1"], R2: request["R2"]}); got != want {
		r.Errorf("proofs %+v, want %+v", got, want)
	}
}

func (r *replay) assertState(after step) {
	r.Helper()
	keys := r.state.Open(r.kma)
	got := [...]string{keys.K0.Reveal(), keys.K1.Reveal(), r.kma.Secval(r.state.Secret).Reveal()}
	if want := [...]string{after.State.K0, after.State.K1, after.State.Secval}; got != want {
		r.Errorf("K0, K1, secval %v, want %v", got, want)
	}
}

// fields reads the flat document of a recorded answer.
func fields(t testing.TB, document string) map[string]string {
	var root struct {
		Children []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(document), &root); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, child := range root.Children {
		all[child.XMLName.Local] = child.Text
	}
	return all
}
