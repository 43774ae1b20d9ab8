package inwebosim

import (
	"net/url"
	"slices"
	"strconv"
)

// setupActivate answers `ActionSetup mode=activate` (section 3, step 1).
func (s *Simulator) setupActivate(k *Knobs, p url.Values) answer {
	code := p.Get("code")
	if !isCode(code) {
		return refuse(actionSetup, errSyntax)
	}
	acct := s.registry.open(code)
	if acct == nil && k.CheckCode == CodeCheckSetup {
		return refuse(actionSetup, errCode)
	}
	rng := seededPCG(s.seed, "setup", strconv.FormatUint(s.streams.Add(1), 10))
	kiw, err := s.keys.seal.seal(s.keys.kiw.modulus(), bytesOf(&rng))
	if err != nil {
		return refuse(actionSetup, "NOK:ERR1")
	}
	return s.arranged(k, &rng, answer{actionSetup, []Field{
		{"err", errOK},
		{"Kiw", kiw},
		{"Kfact", s.keys.seal.private.N.Text(16)},
		{"pinmode", pinMode(k, acct.existingPIN())},
	}})
}

// pinMode is bit 1 for an account that has a PIN, bit 2 for one that is to choose it, or what the knob says.
func pinMode(k *Knobs, pin string) string {
	switch {
	case k.PinMode != PinModeAuto:
		return k.PinMode
	case pin != "":
		return "1"
	default:
		return "2"
	}
}

// finalizeActivate answers `ActionFinalize mode=activate` (section 3, step 2), and returns the keys of the device.
func (s *Simulator) finalizeActivate(k *Knobs, p url.Values) (answer, movement) {
	code, serial := p.Get("code"), p.Get("serial")
	if !isCode(code) || !isSerial(serial) {
		return refuse(actionFinalize, errSyntax), movement{}
	}
	acct := s.registry.open(code)
	if acct == nil {
		return refuse(actionFinalize, errCode), movement{}
	}
	if acct.blocked() {
		return refuse(actionFinalize, errBlocked), movement{}
	}
	if proofsOf(p).match("", "", "", serial, "") != (matches{true, true, true}) {
		return refuse(actionFinalize, errAccess), movement{}
	}
	kma, errKma := s.keys.kiw.decrypt(p.Get("Kma"))
	pinText, errPIN := s.keys.kiw.decrypt(p.Get("pin"))
	if errKma != nil || errPIN != nil || len(kma) != len(key{}) {
		return refuse(actionFinalize, errSyntax), movement{}
	}
	pin := string(pinText)
	switch {
	case !isPIN(pin):
		return refuse(actionFinalize, errPINRefused), movement{}
	case acct.existingPIN() != "" && pin != acct.existingPIN():
		return refuse(actionFinalize, acct.guess(k)), movement{}
	case key(kma) != pinKey(pin, serial):
		return refuse(actionFinalize, errAccess), movement{}
	}
	d, refusal := s.registry.admit(code, serial, k.DeviceLimit)
	if refusal != "" {
		return refuse(actionFinalize, refusal), movement{}
	}
	return s.enroll(k, d, pin, p.Get("name"))
}

// enroll returns the device new keys; what it was before, blocked included, is over.
func (s *Simulator) enroll(k *Knobs, d *device, pin, name string) (answer, movement) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pin, d.name, d.kma = pin, name, pinKey(pin, d.serial)
	d.k0, d.k1 = randomKey(&d.rng), randomKey(&d.rng)
	d.services = s.serviceIDs[:k.Services]
	d.secretsDue = uint8(k.Secrets)
	d.secret, d.isReady = key{}, false
	d.isMoved, d.isBlocked, d.isSecondDue, d.isAwaiting = false, false, false, false
	d.finalizes = 0
	d.forgive()
	d.counters.Activations++
	d.counters.Moves++

	fields := []Field{
		{"err", errOK},
		{"newversion", ""},
		{"newversionurl", ""},
		{"id", d.id},
		{"server", ""},
		{"K0", d.kma.encrypt(d.k0).String()},
		{"K1", d.kma.encrypt(d.k1).String()},
		{"J", "0"},
		{"K", "0"},
	}
	fields = append(fields, s.syncServices(d)...)
	fields = append(fields, Field{"ms_n", strconv.Itoa(k.Secrets)})
	if k.Secrets > 0 {
		fields = append(fields, Field{"challenge", d.newChallenge(s.now())})
	}
	for i, sealing := range s.keys.secrets[:k.Secrets] {
		sealed, err := s.keys.seal.seal(sealing.modulus(), bytesOf(&d.rng))
		if err != nil {
			return refuse(actionFinalize, "NOK:ERR1"), movement{}
		}
		fields = append(fields, Field{"ms_id", s.secretIDs[i]}, Field{"ms_key", sealed})
	}
	return s.arranged(k, &d.rng, answer{actionFinalize, fields}), d.movement()
}

// syncServices is the service list and a new Tsync (section 4).
func (s *Simulator) syncServices(d *device) []Field {
	fields := []Field{{"s_n", strconv.Itoa(len(d.services))}, {"Tsync", d.newTsync(s.now())}}
	for _, id := range d.services {
		fields = append(fields,
			Field{"s_id", id}, Field{"s_name", "Peugeot & Citroën " + id}, Field{"s_icon", ""},
			Field{"s_connected", "0"}, Field{"s_ksc", ""}, Field{"s_secure", "1"})
	}
	return fields
}

// finalizeMS answers `ActionFinalize mode=ms` (section 3, step 3); d.mu is held.
func (s *Simulator) finalizeMS(k *Knobs, d *device, p url.Values) answer {
	hadChallenge := d.takeChallenge()
	if d.blocked() {
		return refuse(actionFinalize, errBlocked)
	}
	if refusal, _ := d.prove(k, hadChallenge, proofsOf(p)); refusal != "" {
		return refuse(actionFinalize, refusal)
	}
	secret, ok := s.readSecrets(int(d.secretsDue), p)
	if !ok {
		return refuse(actionFinalize, errSyntax)
	}
	d.secret, d.secretsDue, d.isReady = secret, 0, true
	ans := answer{actionFinalize, []Field{{"err", errOK}}}
	if k.SecretsMove {
		ans.fields = append(ans.fields, d.move(s.ratchetOf(k, d))...)
	}
	return s.arranged(k, &d.rng, ans)
}

// readSecrets decrypts ms_val0… each with the key of its ms_id; the values must be one and the same.
func (s *Simulator) readSecrets(due int, p url.Values) (secret key, ok bool) {
	if due == 0 || p.Get("ms_n") != strconv.Itoa(due) {
		return key{}, false
	}
	seen := map[string]bool{}
	for i := range due {
		id := p.Get("ms_id" + strconv.Itoa(i))
		at := slices.Index(s.secretIDs[:due], id)
		if at < 0 || seen[id] {
			return key{}, false
		}
		seen[id] = true
		plain, err := s.keys.secrets[at].decrypt(p.Get("ms_val" + strconv.Itoa(i)))
		if err != nil || len(plain) != len(secret) || i > 0 && key(plain) != secret {
			return key{}, false
		}
		secret = key(plain)
	}
	return secret, true
}
