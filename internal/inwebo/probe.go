package inwebo

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// Probe is how far a question that changes nothing came. Behind a proxy, Addresses and Peer are those of the proxy.
type Probe struct {
	Addresses []string             // that the name resolved to; empty when there was nothing to resolve
	Peer      string               // host:port of the connection; empty when there was none
	ByProxy   bool                 // the proxy answered that it makes no connection to the host
	TLS       *tls.ConnectionState // nil when there was no TLS, or it failed
	Took      time.Duration        // from the question to the end of its answer
	Date      time.Time            // of the answer's header, to the second; zero when there was none
	Clock     time.Time            // this machine's when the answer began
	Err       error                // nil: it answers as the mAccess service; else a *Fault
}

// probeCode is malformed as an SMS code: the answer is a refusal of the syntax (docs/protocol.md §7, SN), for no account.
const probeCode = "-"

// Probe asks the host whether it is the service, in a way that touches no account and no device: it opens an activation
// with a code that cannot be one. Any answer of the service will do, a refusal above all. Observe is not called.
func (c *Client) Probe(ctx context.Context) Probe {
	query := c.query("ActionSetup", "activate", Unactivated())
	query.Set("code", probeCode)
	ctx, cancel := context.WithTimeout(ctx, c.config.ExchangeTimeout)
	defer cancel()
	x := &call{name: ExchangeActivateSetup}
	x.deadline, _ = ctx.Deadline()
	var way wayThere
	began := time.Now()
	conn, err := c.dial(way.watch(ctx))
	p := way.probe()
	if err != nil {
		p.ByProxy = is[proxyError](err)
		p.Err = newFault(ctx, x.name, ErrNeverSent, err)
		return p
	}
	x.conn = conn
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(x.deadline)
	defer context.AfterFunc(ctx, conn.interrupt)()
	if secured, ok := conn.Conn.(*tls.Conn); ok && c.dialer.tls != nil {
		p.TLS = new(secured.ConnectionState())
	}
	_, _, err = x.send(ctx, c.request(query))
	p.Clock = x.began
	if x.response != nil {
		p.Date, _ = http.ParseTime(x.response.Header.Get("Date")) // zero when there is none
	}
	if _, refused := errors.AsType[*Refusal](err); !refused {
		p.Err = err
	}
	p.Took = time.Since(began)
	return p
}

// wayThere notes the stages of a connection. Dialing several addresses may go on when the request has ended.
type wayThere struct {
	mu sync.Mutex
	p  Probe
}

func (w *wayThere) watch(ctx context.Context) context.Context {
	note := func(set func(*Probe)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		set(&w.p)
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			note(func(p *Probe) { p.Addresses = addressesOf(info.Addrs) })
		},
		ConnectDone: func(_, address string, err error) {
			if err == nil {
				note(func(p *Probe) { p.Peer = address })
			}
		},
	})
}

func addressesOf(found []net.IPAddr) (texts []string) {
	for _, address := range found {
		texts = append(texts, address.String())
	}
	return texts
}

func (w *wayThere) probe() Probe {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.p
}
