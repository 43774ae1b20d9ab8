package inwebosim

import (
	"net/url"
	"slices"
	"strconv"
	"time"
)

// setupOTP answers `ActionSetup mode=otp` (section 6, step 1); d.mu is held.
func (s *Simulator) setupOTP(k *Knobs, d *device, p url.Values) answer {
	if refusal := d.refuseOTP(p.Get("sid")); refusal != "" {
		return refuse(actionSetup, refusal)
	}
	return s.arranged(k, &d.rng, answer{actionSetup, []Field{
		{"err", errOK}, {"challenge", d.newChallenge(s.now())},
	}})
}

// refuseOTP is the err text for a device that can have no password, whatever its proofs.
func (d *device) refuseOTP(service string) string {
	switch {
	case d.blocked():
		return errBlocked
	case !d.isReady:
		return errForbidden
	case !slices.Contains(d.services, service):
		return errNoService
	}
	return ""
}

// finalizeOTP answers `ActionFinalize mode=otp` (section 6, step 2); d.mu is held.
func (s *Simulator) finalizeOTP(k *Knobs, d *device, p url.Values) answer {
	now := s.now()
	hadChallenge := d.takeChallenge()
	if refusal := d.refuseOTP(p.Get("sid")); refusal != "" {
		return refuse(actionFinalize, refusal)
	}
	if age := now.UnixNano() - d.challengedAt; hadChallenge && k.ChallengeLife > 0 && age > int64(k.ChallengeLife) {
		return refuse(actionFinalize, errTimeout)
	}
	hasKeys := hadChallenge && d.hasKeys(proofsOf(p))
	refusal, isStale := d.prove(k, hadChallenge, proofsOf(p))
	if refusal != "" {
		ans := refuse(actionFinalize, refusal)
		if k.RefusalsMove && hasKeys {
			ans.fields = append(ans.fields, d.move(RatchetDK1)...)
		}
		return ans
	}
	if !d.hasQuota(k, now) {
		return refuse(actionFinalize, errForbidden)
	}
	var keys []Field
	if isStale {
		keys = d.resend()
	} else {
		keys = d.move(s.ratchetOf(k, d))
	}
	return s.acceptRound(k, d, now, keys)
}

// acceptRound makes the answer of an accepted otp finalize and, unless it asks for a second round, a password.
func (s *Simulator) acceptRound(k *Knobs, d *device, now time.Time, keys []Field) answer {
	d.counters.Step++
	defi := strconv.FormatUint(d.rng.Uint64()>>33, 10)
	fields := append(make([]Field, 0, 12), Field{"err", errOK}, Field{"defi", defi})
	fields = append(fields, keys...)
	carriesJ, makesOTP := d.nextRound(s.secondRoundOf(k, d))
	if carriesJ {
		fields = append(fields, Field{"J", strconv.Itoa(int(d.counters.Step))})
	}
	if k.ResyncEvery > 0 && int(d.counters.Step)%k.ResyncEvery == 0 {
		fields = append(fields, s.syncServices(d)...)
	}
	if makesOTP {
		d.counters.Issued++
		if k.DailyOTPs > 0 {
			d.issued = append(d.issued, now.UnixNano())
		}
		s.issuedOTPs.issue(&password{
			text:   otpText(d.k1, defi, d.kma.encrypt(d.secret)),
			device: d, issued: now, step: d.counters.Step,
		}, time.Duration(k.OTPLife))
	}
	return s.arranged(k, &d.rng, answer{actionFinalize, fields})
}

// nextRound decides what the round that was just accepted is.
func (d *device) nextRound(how SecondRound) (carriesJ, makesOTP bool) {
	if how == SecondRoundStubborn {
		return true, true
	}
	if d.isSecondDue {
		d.isSecondDue = false
		return false, true
	}
	d.isOtherTurn = how == SecondRoundEveryOther && !d.isOtherTurn
	d.isSecondDue = how == SecondRoundAlways || d.isOtherTurn
	return d.isSecondDue, !d.isSecondDue
}

// hasQuota reports whether the device may have another password within 24 hours of the first that counts.
func (d *device) hasQuota(k *Knobs, now time.Time) bool {
	if k.DailyOTPs == 0 {
		d.issued = nil
		return true
	}
	dayAgo := now.Add(-24 * time.Hour).UnixNano()
	d.issued = slices.DeleteFunc(d.issued, func(at int64) bool { return at <= dayAgo })
	return len(d.issued) < k.DailyOTPs
}

func (s *Simulator) ratchetOf(k *Knobs, d *device) Ratchet {
	if d.own.Ratchet != "" {
		return d.own.Ratchet
	}
	return k.Ratchet
}

func (s *Simulator) secondRoundOf(k *Knobs, d *device) SecondRound {
	if d.own.SecondRound != "" {
		return d.own.SecondRound
	}
	return k.SecondRound
}
