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

// receive reads the answer behind its head. An answer whose document is whole is one, whatever its framing says. usable
// reports whether the connection can be used again: only when the framing was read exactly to its end.
func (c *conn) receive(
	ctx context.Context, name Exchange, response *http.Response, deadline time.Time,
) (_ answer, usable bool, _ error) {
	if response.StatusCode/100 != 2 { // the body stays unread: that of a 101 has no end
		return answer{}, false, statusFault(name, response.StatusCode)
	}
	b := newBody(c, response, deadline)
	d, read, err := readDocument(b)
	switch {
	case err == nil:
		a, err := newAnswer(name, d, read)
		return a, b.finish(), err
	case errors.Is(err, errEarly) && b.fault != nil:
		return answer{}, false, newFault(ctx, name, ErrNoAnswer, b.fault)
	case d.root == "" && response.StatusCode != http.StatusOK:
		return answer{}, false, statusFault(name, response.StatusCode)
	}
	c.readUntil(deadline, drainTimeout)
	read.drain()
	return answer{}, false, documentFault(name, d, read, err)
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
