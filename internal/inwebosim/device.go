package inwebosim

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// device is one device as the service knows it. A fleet has a million of them: keep it small.
type device struct {
	id, serial, login string   // never change
	account           *account // set when the registry takes the device in

	mu       sync.Mutex // guards everything below
	pin      string
	name     string
	services []string // s_id; shared between devices, never written
	kma      key
	k0, k1   key
	secret   key
	previous struct{ k0, k1 key } // from before the last movement, while isMoved
	acked    struct{ k0, k1 key } // as of counters.Acknowledged
	rng      rand.PCG
	tsync    int64 // the last Tsync sent, Unix seconds
	own      Override
	issued   []int64 // Unix nanoseconds of the passwords that DailyOTPs counts; nil while it is off
	counters Counters

	challenge    int32
	challengedAt int64 // Unix nanoseconds
	isAwaiting   bool  // the challenge is outstanding
	isMoved      bool
	isReady      bool // it has a secret: it can have passwords
	isBlocked    bool
	isSecondDue  bool // the last accepted answer asked for a second round
	isOtherTurn  bool // SecondRoundEveryOther asked the last time
	secretsDue   uint8
	finalizes    uint32 // received since the last challenge
}

// Override is what one device does unlike the knobs; an empty field leaves the knob in force.
type Override struct {
	Ratchet     Ratchet     `json:"ratchet,omitempty"`
	SecondRound SecondRound `json:"second-round,omitempty"`
}

// receive counts a request on its arrival, before any fault can lose it, and returns its number.
func (d *device) receive(action, lastsync string) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counters.Requests++
	switch action {
	case actionSetup:
		d.counters.Setups++
	case actionFinalize:
		d.counters.Finalizes++
		d.finalizes++
		d.counters.MaxFinalizesPerChallenge = max(d.counters.MaxFinalizesPerChallenge, d.finalizes)
	}
	if lastsync != d.tsyncText() {
		d.counters.StaleSyncs++
	}
	return d.counters.Requests
}

// newChallenge replaces the outstanding challenge and returns the new one.
func (d *device) newChallenge(now time.Time) string {
	if d.isAwaiting && d.finalizes == 0 {
		d.counters.Overlaps++
	}
	d.challenge = int32(d.rng.Uint64())
	d.challengedAt = now.UnixNano()
	d.isAwaiting = true
	d.finalizes = 0
	return d.challengeText()
}

func (d *device) challengeText() string { return strconv.Itoa(int(d.challenge)) }

// takeChallenge spends the outstanding challenge; false when there is none.
func (d *device) takeChallenge() bool {
	was := d.isAwaiting
	d.isAwaiting = false
	return was
}

// prove judges the proofs of a finalize whose challenge was just taken. It returns the err text of a
// refusal, or empty; isStale says that they were accepted though made with the previous keys.
func (d *device) prove(k *Knobs, hadChallenge bool, p proofs) (refusal string, isStale bool) {
	if !hadChallenge {
		return d.refuseProofs(k), false
	}
	c := d.challengeText()
	now := p.match(c, d.k0.String(), d.k1.String(), d.serial, d.pin)
	if d.accepts(k, now) {
		d.forgive()
		return "", false
	}
	if d.isMoved && !(now.r0 && now.r1) {
		old := p.match(c, d.previous.k0.String(), d.previous.k1.String(), d.serial, d.pin)
		if d.accepts(k, old) {
			return d.answerStale(k)
		}
	}
	return d.refuseProofs(k), false
}

// hasKeys reports whether proofs for the last challenge were made with the current keys, whatever their PIN.
func (d *device) hasKeys(p proofs) bool {
	v := p.match(d.challengeText(), d.k0.String(), d.k1.String(), d.serial, d.pin)
	return v.r0 && v.r1
}

func (d *device) accepts(k *Knobs, v matches) bool {
	if !v.r0 || !v.r1 {
		return false
	}
	if !v.r2 {
		d.counters.WrongPINs++
	}
	return v.r2 || !k.CheckPIN
}

func (d *device) answerStale(k *Knobs) (refusal string, isStale bool) {
	d.counters.StaleProofs++
	switch k.LostFinalize {
	case LostFinalizeLenient:
		d.forgive()
		return "", true
	case LostFinalizeForbidden:
		return errForbidden, false
	default:
		return d.refuseProofs(k), false
	}
}

// refuseProofs counts wrong proofs. R0 and R1 count like the PIN: a server cannot tell a wrong key from a guess.
func (d *device) refuseProofs(k *Knobs) string {
	d.counters.WrongProofs++
	d.counters.WrongInARow++
	d.counters.WrongPeak = max(d.counters.WrongPeak, d.counters.WrongInARow)
	refusal := d.account.guess(k)
	if k.WrongLimit > 0 && int(d.counters.WrongInARow) >= k.WrongLimit {
		d.isBlocked = true
		return errBlocked
	}
	return refusal
}

// forgive ends the row of wrong proofs, and that of the account's wrong PINs.
func (d *device) forgive() {
	d.counters.WrongInARow = 0
	d.account.forgive()
}

// blocked reports whether the device, or its account, is blocked.
func (d *device) blocked() bool { return d.isBlocked || d.account.blocked() }

// move moves the keys and returns the fields that tell the client (section 4).
func (d *device) move(how Ratchet) []Field {
	if how == RatchetNone {
		return nil
	}
	d.previous.k0, d.previous.k1, d.isMoved = d.k0, d.k1, true
	d.counters.Moves++
	fields := make([]Field, 0, 3)
	if how == RatchetK0K1 || how == RatchetK0K1dK1 {
		d.k0 = randomKey(&d.rng)
		fields = append(fields, Field{"K0", d.kma.encrypt(d.k0).String()})
	}
	if how != RatchetDK1 {
		d.k1 = randomKey(&d.rng)
		fields = append(fields, Field{"K1", d.kma.encrypt(d.k1).String()})
	}
	if how == RatchetDK1 || how == RatchetK0K1dK1 {
		dK1 := randomKey(&d.rng).String()
		d.k1 = afterDK1(d.k1, dK1)
		fields = append(fields, Field{"dK1", dK1})
	}
	return fields
}

// resend tells a client that fell behind the current keys, and forgets the ones that it had.
func (d *device) resend() []Field {
	d.isMoved = false
	return []Field{{"K0", d.kma.encrypt(d.k0).String()}, {"K1", d.kma.encrypt(d.k1).String()}}
}

// newTsync is a Tsync later than any that the device was sent.
func (d *device) newTsync(now time.Time) string {
	d.tsync = max(now.Unix(), d.tsync+1)
	return d.tsyncText()
}

// tsyncText is the last Tsync as it is in a lastsync.
func (d *device) tsyncText() string { return strconv.FormatInt(d.tsync, 10) }
