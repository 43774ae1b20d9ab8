package inwebosim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// ErrUnknownDevice says that no device has the id.
var ErrUnknownDevice = errors.New("no device has that id")

// Device is a device as it is planted and exported. Keys and secret are 32 lower-case hex digits.
type Device struct {
	ID     string `json:"id"`
	Serial string `json:"serial"`
	// Login is the device's account; empty represents "planted".
	Login    string   `json:"login"`
	Name     string   `json:"name,omitempty"`
	PIN      string   `json:"pin"`
	Secret   string   `json:"secret"`
	K0       string   `json:"K0"`
	K1       string   `json:"K1"`
	Services []string `json:"services"` // its s_id
	Tsync    int64    `json:"tsync"`    // Unix seconds
	Override
}

// IssuedOTP is a password that has not expired.
type IssuedOTP struct {
	OTP      string    `json:"otp"`
	Issued   time.Time `json:"issued"`
	Step     uint32    `json:"step"` // [Counters].Step that made it
	Verified bool      `json:"verified"`
}

// DeviceState is everything that the service knows of a device.
type DeviceState struct {
	Device
	Counters
	// PreviousK0 and PreviousK1 are the keys from before the last movement; empty when nothing has moved
	// or a lenient service has used them up.
	PreviousK0 string `json:"previous_K0,omitempty"`
	PreviousK1 string `json:"previous_K1,omitempty"`
	// AcknowledgedK0 and AcknowledgedK1 are the keys as of [Counters].Acknowledged: a client that has read its
	// answers has these, or newer ones.
	AcknowledgedK0 string `json:"acknowledged_K0"`
	AcknowledgedK1 string `json:"acknowledged_K1"`
	// Challenge is the outstanding one, empty for none.
	Challenge string `json:"challenge,omitempty"`
	// Activated says that ms was accepted: the device can have passwords.
	Activated bool `json:"activated"`
	// Blocked says that the device is blocked, or its account.
	Blocked bool `json:"blocked"`
	// SecondRoundDue says that the last accepted answer asked for a second round.
	SecondRoundDue bool        `json:"second_round_due"`
	OTPs           []IssuedOTP `json:"otps"`
}

// DeviceState tells all about a device; [ErrUnknownDevice] when there is none of that id.
func (s *Simulator) DeviceState(id string) (DeviceState, error) {
	d := s.registry.find(id)
	if d == nil {
		return DeviceState{}, ErrUnknownDevice
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := DeviceState{
		Device: d.export(), Counters: d.counters,
		Activated: d.isReady, Blocked: d.blocked(), SecondRoundDue: d.isSecondDue,
		OTPs: s.issuedOTPs.of(d, s.now(), time.Duration(s.knobs.Load().OTPLife)),
	}
	t.AcknowledgedK0, t.AcknowledgedK1 = d.acked.k0.String(), d.acked.k1.String()
	if d.isMoved {
		t.PreviousK0, t.PreviousK1 = d.previous.k0.String(), d.previous.k1.String()
	}
	if d.isAwaiting {
		t.Challenge = d.challengeText()
	}
	return t, nil
}

// HasStep reports whether a client that stored these keys has lost no step that was acknowledged to it: they are
// the keys of the last acknowledged answer, or the service's own.
func (t DeviceState) HasStep(k0, k1 string) bool {
	return k0 == t.K0 && k1 == t.K1 || k0 == t.AcknowledgedK0 && k1 == t.AcknowledgedK1
}

// export is the device as it stands; d.mu is held.
func (d *device) export() Device {
	return Device{
		ID: d.id, Serial: d.serial, Login: d.login, Name: d.name, PIN: d.pin,
		Secret: d.secret.String(), K0: d.k0.String(), K1: d.k1.String(),
		Services: slices.Clone(d.services), Tsync: d.tsync, Override: d.own,
	}
}

// Export returns a device in the form that [Simulator.PlantDevice] takes.
func (s *Simulator) Export(id string) (Device, error) {
	t, err := s.DeviceState(id)
	return t.Device, err
}

// PlantDevice makes a device known that was enrolled elsewhere, ready to have passwords. It reports every
// fault of it, and refuses an id or serial that is there already.
func (s *Simulator) PlantDevice(planted Device) error {
	d, err := planted.device()
	if err != nil {
		return fmt.Errorf("device %q: %w", planted.ID, err)
	}
	return s.registry.plant(d)
}

func (planted Device) device() (*device, error) {
	var faults []error
	refuse := func(bad bool, fault string) {
		if bad {
			faults = append(faults, errors.New(fault))
		}
	}
	parse := func(name, text string) key {
		k, err := parseKey(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %w", name, err))
		}
		return k
	}
	if planted.Login == "" {
		planted.Login = "planted"
	}
	d := &device{
		id: planted.ID, serial: planted.Serial, login: planted.Login, pin: planted.PIN, name: planted.Name,
		services: planted.Services, kma: pinKey(planted.PIN, planted.Serial),
		k0: parse("K0", planted.K0), k1: parse("K1", planted.K1), secret: parse("secret", planted.Secret),
		tsync: planted.Tsync, own: planted.Override, isReady: true,
	}
	d.acked.k0, d.acked.k1 = d.k0, d.k1
	refuse(planted.ID == "", "it needs an id")
	refuse(!isSerial(planted.Serial), "serial must be deviceId/_/alea, the alea 32 lower-case hex digits")
	refuse(!isPIN(planted.PIN), "pin must be 4 to 8 digits")
	refuse(len(planted.Services) == 0, "it needs the s_id of at least one service")
	return d, errors.Join(append(faults, planted.Override.validate())...)
}

func (o Override) validate() error {
	var faults []error
	if o.Ratchet != "" {
		faults = append(faults, oneOf("ratchet", o.Ratchet, ratchets()))
	}
	if o.SecondRound != "" {
		faults = append(faults, oneOf("second-round", o.SecondRound, secondRounds()))
	}
	return errors.Join(faults...)
}

// DeviceIDs lists the devices by id, sorted.
func (s *Simulator) DeviceIDs() []string {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	ids := slices.AppendSeq(make([]string, 0, len(s.registry.devices)), maps.Keys(s.registry.devices))
	slices.Sort(ids)
	return ids
}
