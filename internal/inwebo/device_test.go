package inwebo_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// device drives a client through whole operations, as the domain will, without a store.
type device struct {
	*testing.T
	client   *inwebo.Client
	serial   ratchet.Serial
	pin      secret.Text
	kma      ratchet.Kma
	state    ratchet.State
	identity inwebo.Identity
	sid      string
}

func newDevice(t *testing.T, client *inwebo.Client, v vector) *device {
	t.Helper()
	d := &device{T: t, client: client, pin: secret.NewText(v.PIN), identity: inwebo.Unactivated()}
	d.serial = must(ratchet.NewSerial(v.DeviceID, bytes.NewReader(must(hex.DecodeString(v.Alea)))))
	d.state.Secret = must(ratchet.NewSecret(bytes.NewReader(must(hex.DecodeString(v.MSSecret)))))
	d.kma = ratchet.NewKma(d.pin, d.serial)
	return d
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (d *device) activate(code string) {
	setup := must(d.client.ActivateSetup(d.Context(), secret.NewText(code)))
	if setup.PINMode != inwebo.PINExisting {
		d.Errorf("pinmode %d", setup.PINMode)
	}
	kfact := must(ratchet.ParsePublicKey(setup.Kfact))
	kiw := must(kfact.UnsealKey(setup.Kiw))
	activated := must(d.client.ActivateFinalize(d.Context(), inwebo.Activation{
		Code: secret.NewText(code), Serial: d.serial,
		Kma: must(d.kma.EncryptFor(kiw, rand.Reader)), PIN: must(kiw.Encrypt(rand.Reader, secret.NewBytes([]byte(d.pin.Reveal())))),
		Proofs: ratchet.ActivationProofs(d.serial),
	}))
	d.apply(activated.Sync, d.state.Told(activated.Sync.Move))
	d.giveSecrets(kfact, activated)
}

func (d *device) giveSecrets(kfact ratchet.PublicKey, activated inwebo.ActivateFinalize) {
	var secrets []inwebo.ServiceSecret
	for i, id := range activated.MSIDs {
		key := must(kfact.UnsealKey(activated.MSKeys[i]))
		secrets = append(secrets, inwebo.ServiceSecret{ID: id, Value: must(key.Encrypt(rand.Reader, d.state.Secret))})
	}
	opened := d.state.Open(d.kma)
	done := must(d.client.MSFinalize(d.Context(), d.identity, secrets, ratchet.Prove(activated.Challenge, opened, d.serial, d.pin)))
	d.apply(done.Sync, d.state.Accepted(opened, done.Sync.Move))
}

// issue makes one OTP, with a second round when the first one was a resynchronization.
func (d *device) issue() string {
	answer := d.round()
	if answer.WantsSecondRound {
		answer = d.round()
	}
	return ratchet.OTP(d.state.Open(d.kma).K1, answer.Defi, d.kma.Secval(d.state.Secret)).Reveal()
}

func (d *device) round() inwebo.OTPFinalize {
	challenge := must(d.client.OTPSetup(d.Context(), d.identity, d.sid))
	opened := d.state.Open(d.kma)
	proofs := ratchet.Prove(challenge.Text, opened, d.serial, d.pin)
	answer := must(d.client.OTPFinalize(d.Context(), d.identity, d.sid, proofs))
	d.apply(answer.Sync, d.state.Accepted(opened, answer.Sync.Move))
	return answer
}

func (d *device) apply(sync inwebo.Sync, state ratchet.State) {
	d.state, d.identity = state, newIdentity(d.identity, sync)
	if sync.HasServices {
		d.sid = sync.Services[0].ID
	}
}

func (d *device) assertState(after step) {
	d.Helper()
	keys := d.state.Open(d.kma)
	got := [...]string{
		d.identity.ID, d.identity.LastSync, d.sid, keys.K0.Reveal(), keys.K1.Reveal(), d.kma.Secval(d.state.Secret).Reveal(),
	}
	want := [...]string{after.State.ID, after.State.LastSync, after.State.SID, after.State.K0, after.State.K1, after.State.Secval}
	if got != want {
		d.Errorf("id, lastsync, sid, K0, K1, secval\n %v, want\n %v", got, want)
	}
}
