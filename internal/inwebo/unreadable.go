package inwebo

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/pimsd/pimsd/internal/secret"
)

// Unreadable is the error of a finalize that was answered with the root ActionFinalize, where the answer, or the ratchet
// step in it, cannot be read. inWebo may have moved the device. errors.Is finds ErrNoAnswer and ErrUnreadable.
//
// ReadAnswer reads the answer again.
type Unreadable struct {
	Exchange Exchange
	// Answer is the body as it arrived, decompressed, and cut off after 64 KiB.
	Answer secret.Bytes
	// Accepted reports whether err itself reads OK or OK:BLOCKED.
	Accepted bool
	// Blocked reports whether err itself reads OK:BLOCKED.
	Blocked bool
	detail  string // our own words only
}

// Error names the exchange and what was wrong with its answer, in our own words.
func (u *Unreadable) Error() string {
	return fmt.Sprintf("%s: %v: %v: %s", u.Exchange, ErrNoAnswer, ErrUnreadable, u.detail)
}

// GoString returns the same as Error, so that no verb prints the answer.
func (u *Unreadable) GoString() string { return u.Error() }

// Unwrap returns ErrNoAnswer and ErrUnreadable.
func (u *Unreadable) Unwrap() []error { return []error{ErrNoAnswer, ErrUnreadable} }

// Reading is what a kept answer to a finalize says.
type Reading struct {
	// Accepted reports whether inWebo did what was asked: err is OK or OK:BLOCKED.
	Accepted bool
	// Blocked reports whether inWebo did what was asked and blocks the device from now on: err is OK:BLOCKED.
	Blocked bool
	// Reason is why inWebo refused. It is empty when Accepted.
	Reason Reason
	// Sync is what the answer changes in the device's state.
	Sync Sync
}

// ReadAnswer reads a kept answer to a finalize: Unreadable.Answer or Refusal.Unusable. It returns an *Unreadable when the
// answer, or the ratchet step in it, cannot be read by this version either.
func ReadAnswer(exchange Exchange, answer secret.Bytes) (Reading, error) {
	text := answer.Reveal()
	a, err := readDocument(exchange, text)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		if !refusal.Unusable.IsEmpty() {
			return Reading{}, unreadable(exchange, text, nil, errUnusableStep)
		}
		return Reading{Reason: refusal.Reason, Sync: refusal.Sync}, nil
	}
	if err != nil {
		return Reading{}, err
	}
	finalized, err := readFinalized(a)
	if err != nil {
		return Reading{}, answerFault(exchange, a, err)
	}
	return Reading{Accepted: true, Blocked: finalized.Blocked, Sync: finalized.Sync}, nil
}

var errUnusableStep = errors.New("its ratchet step cannot be used")

// readDocument reads the body of an answer as far as err. What it cannot read is an *Unreadable or a *Fault.
func readDocument(exchange Exchange, text []byte) (answer, error) {
	document, err := parseDocument(text)
	if err != nil {
		return answer{}, documentFault(exchange, text, err)
	}
	return newAnswer(exchange, document, text)
}

// documentFault is the error of a body that is no document of the service.
func documentFault(exchange Exchange, text []byte, why error) error {
	switch {
	case isWebPage(text):
		return &Fault{exchange, ErrNoAnswer, ErrNotService, "it answers with a web page"}
	case rootOf(exchange) == rootSetup:
		return &Fault{exchange, ErrNoAnswer, ErrNotUnderstood, why.Error()}
	case bytes.Contains(text, []byte("<"+rootFinalize)):
		return unreadable(exchange, text, nil, why)
	default:
		return &Fault{exchange, ErrNoAnswer, ErrNotService, why.Error()}
	}
}

// answerFault is the error of a document of the service that lacks something, or in which something cannot be used.
func answerFault(exchange Exchange, a answer, why error) error {
	if rootOf(exchange) == rootSetup {
		return &Fault{exchange, ErrNoAnswer, ErrNotUnderstood, why.Error()}
	}
	return unreadable(exchange, a.body, a.document, why)
}

func unreadable(exchange Exchange, body []byte, d *document, why error) error {
	u := &Unreadable{Exchange: exchange, Answer: secret.NewBytes(body[:min(len(body), maxAnswerBytes)]), detail: why.Error()}
	if d != nil {
		u.Accepted, u.Blocked = acceptance(d)
	}
	return u
}

// acceptance reports whether err says that inWebo did what was asked, and that it blocks the device from now on.
func acceptance(d *document) (accepted, blocked bool) {
	text := d.text("err")
	return text == "OK" || text == "OK:BLOCKED", text == "OK:BLOCKED"
}
