package historytest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// repeated is a call that may be repeated, as its callers know it.
type repeated struct {
	body string
	told string // the answer, once a caller has it
}

// body is what a call asks.
type body string

// Fingerprint is as otp.Fingerprinted says.
func (b body) Fingerprint() []byte {
	sum := sha256.Sum256([]byte(b))
	return sum[:]
}

// Has is as otp.Fingerprinted says.
func (b body) Has(fingerprint []byte) (bool, error) {
	return bytes.Equal(fingerprint, b.Fingerprint()), nil
}

const otpAnswer = "otp:"

func answerOf(given secret.Text, err error) secret.Bytes {
	if err != nil {
		return secret.NewBytes([]byte("error:" + otp.CauseOf(err).Error()))
	}
	return secret.NewBytes([]byte(otpAnswer + given.Reveal()))
}

// repeat asks for an OTP by a call that may be repeated: the same call is done once, and gets the same answer again.
func (h *harness) repeat(p *process, o op) {
	asks := body(fmt.Sprintf("%v %v", o.WrongPIN, o.Other && o.Number == 0))
	key := fmt.Sprintf("%064x", sha256.Sum256(fmt.Appendf(nil, "%d", o.Number)))
	ask := h.ask(o)
	ask.Idempotency = &otp.IdempotentCall{Key: key, Body: asks, Answer: answerOf}
	issued, err := p.service.IssueOTP(h.on(o), ask, pinOf(!o.WrongPIN))
	if p.dead() {
		return
	}
	h.judgeError(p, o, !o.WrongPIN, err)
	if err != nil {
		return
	}
	told := string(issued.StoredResponse.Reveal())
	isNew := told == ""
	if isNew {
		told = string(answerOf(issued.OTP, nil).Reveal())
	}
	before := h.call(string(ask.Account)+key, string(asks), told)
	switch {
	case before.body != string(asks) && !isNew:
		h.fault("a call gets the answer of another one")
	case before.told != "" && before.told != told && !h.kind.isDamaged:
		h.fault("a call is told %q, and then %q", before.told, told)
	}
	given, isOTP := strings.CutPrefix(told, otpAnswer)
	if isOTP && before.told == "" && !o.WrongPIN && !h.site.Verify(given) && !p.isOvertaken() { // another conversation has moved the restored row on
		h.fault("the OTP of a call that may be repeated does not verify")
	}
}

// call notes what a caller of a call is told, and returns what was known of the call before.
func (h *harness) call(key, asks, told string) repeated {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.calls[key]; known != nil {
		before := *known
		known.told = told
		return before
	}
	h.calls[key] = &repeated{asks, told}
	return repeated{body: asks}
}
