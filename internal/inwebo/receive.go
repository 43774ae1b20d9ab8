package inwebo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// drainTimeout bounds the wait for the rest of an answer that cannot be read, and is kept, and for the page of an error.
const drainTimeout = time.Second

// send writes the request and reads its answer. usable reports whether the connection can be used again.
func (x *call) send(ctx context.Context, request []byte) (_ answer, usable bool, err error) {
	x.response, err = x.conn.send(request) //nolint:bodyclose // the connection is closed instead
	x.began = time.Now()
	if err != nil {
		a, err := x.receiveOdd(ctx, err)
		return a, false, err
	}
	return x.receive(ctx)
}

// receive reads the answer behind its head. An answer whose document is whole is one, whatever its framing and its status
// say: the document is inWebo's own word, and proxies choose statuses, too. The connection is usable again only when the
// framing was read exactly to its end.
func (x *call) receive(ctx context.Context) (_ answer, usable bool, err error) {
	status := x.response.StatusCode
	if !hasBody(status) {
		return answer{}, false, statusFault(x.name, status)
	}
	x.body = newBody(x.conn, x.response, x.deadline)
	if !isSuccess(status) {
		x.conn.readUntil(x.deadline, drainTimeout)
	}
	var d *document
	d, x.read, err = readDocument(x.body)
	if fault := x.body.fault; errors.Is(err, errEarly) && fault != nil && !isCut(fault) { // the chunks are wrong
		x.body = newRawBody(x.conn, x.response, x.deadline)
		if d, x.read, err = readDocument(x.body); x.body.fault == nil {
			x.body.fault = fault
		}
		if err == nil && d.hasChunkLine() {
			return answer{}, false, x.opaqueFault(errChunks)
		}
	}
	switch {
	case !isSuccess(status) && (d.root != rootOf(x.name) || err != nil && d.root == rootSetup):
		return answer{}, false, statusFault(x.name, status)
	case err == nil:
		a, err := newAnswer(x.name, d, x.read)
		return a, x.body.finish(), err
	case d.root == "" && x.isOpaque():
		return answer{}, false, x.opaqueFault(x.body.opaque())
	case errors.Is(err, errEarly) && x.body.fault != nil:
		return answer{}, false, x.cutFault(ctx, d)
	case d.root == "" && status != http.StatusOK:
		return answer{}, false, statusFault(x.name, status)
	}
	x.conn.readUntil(x.deadline, drainTimeout)
	x.read.drain()
	return answer{}, false, documentFault(x.name, d, x.read, err)
}

// hasBody reports whether an answer with that status has a body; that of a 101 would have no end.
func hasBody(status int) bool {
	return status != http.StatusSwitchingProtocols && status != http.StatusNoContent && status != http.StatusNotModified
}

func isSuccess(status int) bool { return status/100 == 2 }

// cutFault is the error of an answer whose connection brought no more before the document had ended. A finalize was answered
// if its root has begun: what arrived of the answer is kept.
func (x *call) cutFault(ctx context.Context, d *document) error {
	fault := newFault(ctx, x.name, ErrNoAnswer, x.body.fault)
	if d.root != rootFinalize || rootOf(x.name) != rootFinalize {
		return fault
	}
	u := unreadable(x.name, d, x.read, fmt.Errorf("%w, because the connection brought no more: %w", errEarly, fault.why))
	u.Cut = true
	return u
}

// isOpaque reports whether the answer has a body that cannot be decoded, and is no page.
func (x *call) isOpaque() bool {
	_, behind := cutHead(x.conn.seen)
	return x.body.opaque() != nil && len(behind) > 0 && !isWebPage(x.read.text)
}

// opaqueFault is the error of an answer whose body cannot be decoded. Of a finalize it is kept as it arrived, with its head, which
// says how it is coded.
func (x *call) opaqueFault(why error) error {
	if rootOf(x.name) == rootSetup {
		return &Fault{x.name, ErrNoAnswer, ErrNotUnderstood, why.Error()}
	}
	x.conn.readUntil(x.deadline, drainTimeout)
	_, _ = io.Copy(io.Discard, x.body.framed) // as far as it comes
	return opaque(x.name, x.conn.seen, why)
}

func statusFault(name Exchange, status int) error {
	why := ErrNotService
	switch {
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		why = ErrNetwork
	case status >= http.StatusInternalServerError:
		why = ErrServer
	}
	return &Fault{name, ErrNoAnswer, why, "HTTP " + strconv.Itoa(status)}
}
