package inwebo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
)

// Unreadable is the error of a finalize that was answered with the root ActionFinalize, where the answer, or the ratchet
// step in it, cannot be read. inWebo may have moved the device. errors.Is finds ErrNoAnswer and ErrUnreadable.
//
// ReadAnswer reads the answer again.
type Unreadable struct {
	Exchange Exchange
	// Answer is the body as it arrived, decompressed, and cut off after 64 KiB. Where it could not be decompressed, the head of the
	// HTTP answer is in front of it.
	Answer secret.Bytes
	// Accepted reports whether err itself reads OK or OK:BLOCKED.
	Accepted bool
	// Blocked reports whether err itself reads OK:BLOCKED.
	Blocked bool
	// Cut reports whether the connection ended, or the time ran out, before the document did.
	Cut    bool
	detail string // our own words only
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
func ReadAnswer(exchange Exchange, kept secret.Bytes) (Reading, error) {
	a, err := readKept(exchange, kept.Reveal())
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		if !refusal.Unusable.IsEmpty() {
			return Reading{}, &Unreadable{Exchange: exchange, Answer: kept, detail: errUnusableStep.Error()}
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

// readKept reads a body, with or without the head of its answer.
func readKept(exchange Exchange, kept []byte) (answer, error) {
	if !bytes.HasPrefix(kept, protocolName) {
		return readBody(exchange, bytes.NewReader(kept))
	}
	_, behind := cutHead(kept)
	response := headOf(kept) //nolint:bodyclose // it has none
	b := &body{response: response, isRaw: true, framed: unchunked(response.Header, bytes.NewReader(behind))}
	a, err := readBody(exchange, b)
	if why := b.opaque(); is[*Fault](err) && why != nil {
		err = opaque(exchange, kept, why)
	}
	return a, err
}

// readBody reads a body that has arrived as far as err.
func readBody(exchange Exchange, body io.Reader) (answer, error) {
	d, source, err := readDocument(body)
	if err != nil {
		source.drain()
		return answer{}, documentFault(exchange, d, source, err)
	}
	return newAnswer(exchange, d, source)
}

// documentFault is the error of a body that is no document of the service, or a broken one. d is what could be read of it.
func documentFault(exchange Exchange, d *document, body *source, why error) error {
	isFinalize := rootOf(exchange) == rootFinalize
	switch {
	case isFinalize && d.root == rootFinalize:
		return unreadable(exchange, d, body, why)
	case d.root == "" && isWebPage(body.text):
		return &Fault{exchange, ErrNoAnswer, ErrNotService, "it answers with a web page"}
	case !isFinalize:
		return &Fault{exchange, ErrNoAnswer, ErrNotUnderstood, why.Error()}
	case mentions(body.text, rootFinalize):
		return unreadable(exchange, d, body, why)
	default:
		return &Fault{exchange, ErrNoAnswer, ErrNotService, why.Error()}
	}
}

// answerFault is the error of a document of the service that lacks something, or in which something cannot be used.
func answerFault(exchange Exchange, a answer, why error) error {
	if rootOf(exchange) == rootSetup {
		return &Fault{exchange, ErrNoAnswer, ErrNotUnderstood, why.Error()}
	}
	return unreadable(exchange, a.document, a.source, why)
}

func unreadable(exchange Exchange, d *document, body *source, why error) *Unreadable {
	u := &Unreadable{Exchange: exchange, Answer: secret.NewBytes(body.body), detail: why.Error()}
	u.Accepted, u.Blocked = acceptance(d)
	return u
}

// opaque is the error of an answer whose body cannot be decoded.
func opaque(exchange Exchange, arrived []byte, why error) *Unreadable {
	return &Unreadable{
		Exchange: exchange, Answer: secret.NewBytes(bytes.Clone(arrived[:min(len(arrived), maxAnswerBytes)])), detail: why.Error(),
	}
}

// acceptance reports whether err says that inWebo did what was asked, and that it blocks the device from now on. Behind OK, every
// other word is taken for one that changes nothing: the device has moved.
func acceptance(d *document) (accepted, blocked bool) {
	status, word, _ := strings.Cut(d.textOrNone("err"), ":")
	accepted = strings.TrimSpace(status) == "OK"
	return accepted, accepted && strings.TrimSpace(word) == "BLOCKED"
}
