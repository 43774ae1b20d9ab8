package inwebo

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// drainTimeout bounds the wait for the rest of an answer that cannot be read, and is kept.
const drainTimeout = time.Second

// send writes the request and reads its answer. usable reports whether the connection can be used again.
func (x *call) send(ctx context.Context, request []byte) (_ answer, usable bool, err error) {
	if x.response, err = x.conn.send(request); err != nil { //nolint:bodyclose // the connection is closed instead
		return answer{}, false, newFault(ctx, x.name, ErrNoAnswer, err)
	}
	return x.receive(ctx)
}

// receive reads the answer behind its head. An answer whose document is whole is one, whatever its framing says. The
// connection is usable again only when the framing was read exactly to its end.
func (x *call) receive(ctx context.Context) (_ answer, usable bool, err error) {
	if x.response.StatusCode/100 != 2 { // the body stays unread: that of a 101 has no end
		return answer{}, false, statusFault(x.name, x.response.StatusCode)
	}
	x.body = newBody(x.conn, x.response, x.deadline)
	var d *document
	d, x.read, err = readDocument(x.body)
	switch {
	case err == nil:
		a, err := newAnswer(x.name, d, x.read)
		return a, x.body.finish(), err
	case errors.Is(err, errEarly) && x.body.fault != nil:
		return answer{}, false, newFault(ctx, x.name, ErrNoAnswer, x.body.fault)
	case d.root == "" && x.response.StatusCode != http.StatusOK:
		return answer{}, false, statusFault(x.name, x.response.StatusCode)
	}
	x.conn.readUntil(x.deadline, drainTimeout)
	x.read.drain()
	return answer{}, false, documentFault(x.name, d, x.read, err)
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
