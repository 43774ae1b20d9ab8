package inwebo

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"time"
)

// ParseDocument reads a whole document.
func ParseDocument(text []byte) (*document, error) {
	d, _, err := readDocument(bytes.NewReader(text))
	return d, err
}

// ParseDocumentFrom reads a document as it arrives.
func ParseDocumentFrom(from io.Reader) (*document, error) {
	d, _, err := readDocument(from)
	return d, err
}

// Root returns the name of the root.
func (d *document) Root() string { return d.root }

// Fields returns the children by their names.
func (d *document) Fields() map[string][]string {
	fields := make(map[string][]string, len(d.children))
	for _, c := range d.children {
		fields[d.nameOf(c)] = append(fields[d.nameOf(c)], d.textOf(c))
	}
	return fields
}

// Exchanges lists them all.
func Exchanges() []Exchange {
	return []Exchange{ExchangeActivateSetup, ExchangeActivateFinalize, ExchangeMSFinalize, ExchangeOTPSetup, ExchangeOTPFinalize}
}

// Request returns what goes out; parameters are names and values by turns.
func (c *Client) Request(parameters ...string) []byte {
	q := &query{text: []byte(c.head)}
	for pair := range slices.Chunk(parameters, 2) {
		q.Set(pair[0], pair[1])
	}
	return c.request(q)
}

// DialFault returns the error of an exchange whose connection could not be made because of err.
func DialFault(ctx context.Context, name Exchange, err error) error {
	return newFault(ctx, name, ErrNeverSent, err)
}

// FinalizeOver makes an exchange over a connection.
func FinalizeOver(ctx context.Context, over net.Conn) error {
	x := &call{name: ExchangeOTPFinalize, conn: newConn(over, over), deadline: time.Now().Add(time.Minute)}
	_, _, err := x.send(ctx, []byte("c4n4ry"))
	return err
}

// DrainTimeout is how long the rest of an answer is waited for whose framing has ended.
const DrainTimeout = drainTimeout

// IdleTimeout is how long a connection may be idle.
const IdleTimeout = idleTimeout

// Pool opens the pool of idle connections.
type Pool struct{ pool }

// Put keeps a connection.
func (p *Pool) Put(c net.Conn) { p.put(newConn(c, c)) }

// Len returns how many there are.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// Close closes them.
func (p *Pool) Close() { p.close(0) }
