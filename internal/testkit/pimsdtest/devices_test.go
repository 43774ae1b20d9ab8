package pimsdtest_test

import (
	"fmt"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// Devices outlive the daemon, however their keys have moved since.
func TestDevicesOutliveARestart(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	var all []*pimsdtest.Account
	for _, how := range movements() {
		all = append(all, moving(t, d, how))
	}
	for range 3 {
		d.Restart()
		for _, a := range all {
			wantOTP(t, a)
			wantOTP(t, a)
		}
	}
}

// So do those of which inWebo waits for a second round.
func TestASecondRoundThatIsDueOutlivesARestart(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	var all []*pimsdtest.Account
	for _, how := range movements() {
		if how.SecondRound != inwebosim.SecondRoundAlways {
			continue
		}
		a := moving(t, d, how)
		n := at(pimsdtest.ActionSetup, inwebosim.Fault{Kind: inwebosim.KindLostRequest, Skip: 1})
		a.Plant(n)
		if got := a.OTP(aPIN); got.Code != 2316 {
			t.Errorf("%s: %s", a.Name, got.Body)
		}
		if !a.Expected().SecondRoundDue {
			t.Errorf("%s: no second round is due", a.Name)
		}
		all = append(all, a)
	}
	d.Inwebo.ClearFaults()
	d.Restart()
	for _, a := range all {
		wantOTP(t, a)
		wantOTP(t, a)
	}
}

// Who enrolls again keeps the serial: another one would cost one of the devices that an account may have.
func TestEnrollingAgainCostsNoDevice(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.DeviceLimit = 1 })
	serial := a.Expected().Serial
	for _, pin := range []string{"567890", aPIN} {
		a.Daemon.Restart()
		again := a.Daemon.Enroll(a.Name, pin)
		wantOTP(t, again)
		if got := again.Expected().Serial; got != serial {
			t.Errorf("the serial is %s, and was %s", got, serial)
		}
	}
}

// Each way in which inWebo may behave unlike the default: a device is enrolled, works, and works after a restart.
func TestEveryKnob(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]func(*inwebosim.Knobs){
		"keys move with the secret, dK1":      func(k *inwebosim.Knobs) { k.SecretsMove = true },
		"keys move with the secret, K0 K1":    func(k *inwebosim.Knobs) { k.SecretsMove, k.Ratchet = true, inwebosim.RatchetK0K1 },
		"the PIN is not checked, keys move":   func(k *inwebosim.Knobs) { k.SecretsMove, k.Ratchet, k.CheckPIN = true, inwebosim.RatchetK0K1dK1, false },
		"several secrets":                     func(k *inwebosim.Knobs) { k.Secrets = 4 },
		"empty fields":                        func(k *inwebosim.Knobs) { k.EmptyFields = true },
		"services and Tsync with each answer": func(k *inwebosim.Knobs) { k.ResyncEvery = 1 },
		"services and Tsync now and then":     func(k *inwebosim.Knobs) { k.ResyncEvery, k.SecondRound = 3, inwebosim.SecondRoundEveryOther },
		"the account has a PIN and a biokey":  func(k *inwebosim.Knobs) { k.PinMode = "9" },
		"the code is checked in the setup":    func(k *inwebosim.Knobs) { k.CheckCode = inwebosim.CodeCheckSetup },
		"elements in order":                   func(k *inwebosim.Knobs) { k.Shuffle = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := enrolled(t, func(s *pimsdtest.Setup) { turn(&s.Inwebo.Knobs) })
			for range 7 {
				wantOTP(t, a)
			}
			a.Daemon.Restart()
			wantOTP(t, a)
			if expected := a.Expected(); expected.WrongProofs != 0 || expected.StaleSyncs != 0 {
				t.Errorf("inWebo has seen what it should not: %+v", expected.Counters)
			}
		})
	}
}

// With several services, the configuration says for which one OTPs are.
func TestTheServiceIsChosen(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Inwebo.Knobs.Services = 3 })
	if got := a.OTP(aPIN); got.Code != 2006 {
		t.Errorf("no service is chosen: %s", got.Body)
	}
	for _, id := range a.Expected().Services {
		for _, choice := range []string{id, fmt.Sprint("Peugeot & Citroën ", id)} {
			a.Daemon.Config.Inwebo.Service = choice
			a.Daemon.Restart()
			wantOTP(t, a)
			if asked := last(t, a, pimsdtest.ActionFinalize).Params.Get("sid"); asked != id {
				t.Errorf("%q: the OTP was asked for service %s", choice, asked)
			}
		}
	}
}

// last is the account's last request of that action.
func last(t *testing.T, a *pimsdtest.Account, action string) inwebosim.Exchange {
	t.Helper()
	requests := a.Daemon.Inwebo.History(inwebosim.Match{Action: action, ID: a.Expected().ID})
	if len(requests) == 0 {
		t.Fatalf("inWebo has heard no %s", action)
	}
	return requests[len(requests)-1]
}
