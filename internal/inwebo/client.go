package inwebo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/pimsd/pimsd/internal/tracing"
)

// Config says where inWebo is and how this device introduces itself.
type Config struct {
	BaseURL    *url.URL // scheme and host; its own path is kept as a prefix
	Path       string   // "/iwws/MAC", or "/iwcxf/MAC" for newer versions; it begins with a slash
	MacID      string   // 32 hex digits, one for each white-label service
	Version    string   // host version "/" library version
	UserAgent  string
	DeviceName string // what the user sees in inWebo's list of devices
	Language   string

	ExchangeTimeout time.Duration // one request and its answer, the name look-up and the connection included
	DialTimeout     time.Duration // looking up the name and connecting, and again each step of a proxy and of TLS

	Proxy             *url.URL         // http or https; nil: none, the environment is not asked
	RootCAs           *x509.CertPool   // nil: the system's
	ClientCertificate *tls.Certificate // nil: none

	// Observe, when set, is called after every exchange: err is nil, a *Refusal, a *Fault or an *Unreadable.
	Observe func(exchange Exchange, err error, took time.Duration)

	// Transcript, when set, receives every exchange. One that it cannot take at once is dropped. It must not be closed.
	Transcript chan<- *Sample
}

// maxAnswerBytes bounds an answer, and its header by itself; the largest answer seen has 3 KiB.
const maxAnswerBytes = 64 << 10

// Client makes the exchanges. It is safe for concurrent use.
//
// It makes them itself instead of by http.Transport, which sends a request a second time when a connection that was used
// before turns out to be dead, and which does not show how far an answer came.
type Client struct {
	config     Config
	invalid    error // why no request can be made; nil when they can
	dialer     *dialer
	idle       pool
	head, tail string // of every request, around its query
}

// New makes a client. It does not connect. What is wrong with the URLs or the header is the error of every exchange.
func New(config Config) *Client {
	c := &Client{config: config}
	if c.dialer, c.invalid = newDialer(config); c.invalid != nil {
		return c
	}
	target := *config.BaseURL
	target.Path = strings.TrimSuffix(target.Path, "/") + config.Path // URL.JoinPath drops the slash behind a bare host
	c.head = "GET "
	if c.dialer.isForward() {
		c.head += target.Scheme + "://" + target.Host
	}
	c.head += target.EscapedPath() + "?"
	c.tail = " HTTP/1.1\r\nHost: " + target.Host + "\r\n"
	if config.UserAgent != "" {
		c.tail += "User-Agent: " + config.UserAgent + "\r\n"
	}
	c.tail += "Connection: Keep-Alive\r\n"
	if strings.ContainsFunc(config.UserAgent+target.Host, unicode.IsControl) {
		c.invalid = errors.New("the header has control characters")
	}
	if c.dialer.isForward() {
		c.tail += proxyAuthorization(config.Proxy)
	}
	c.tail += "\r\n"
	return c
}

// Close gives up the idle connections.
func (c *Client) Close() { c.idle.close(0) }

// call is one exchange while it is made.
type call struct {
	name     Exchange
	query    *query
	deadline time.Time
	conn     *conn

	response *http.Response // the head of the answer; nil until it has arrived
	began    time.Time      // when that was
	body     *body          // nil until it is read
	read     *source        // what was read of the body; nil until it is read
}

// exchange sends one request, once, and reads its answer with read.
func exchange[T any](ctx context.Context, c *Client, name Exchange, query *query, read func(answer) (T, error)) (T, error) {
	start := time.Now()
	ctx, end := tracing.StartCall(ctx, "inwebo "+string(name))
	x := &call{name: name, query: query}
	reply, err := roundTripAndRead(ctx, c, x, read)
	end(err)
	took := time.Since(start)
	if c.config.Observe != nil {
		c.config.Observe(name, err, took)
	}
	if c.config.Transcript != nil {
		x.offer(c.config.Transcript, err, took)
	}
	return reply, err
}

func roundTripAndRead[T any](ctx context.Context, c *Client, x *call, read func(answer) (T, error)) (T, error) {
	var none T
	a, err := c.roundTrip(ctx, x)
	if err != nil {
		return none, err
	}
	reply, err := read(a)
	if err != nil {
		return none, answerFault(x.name, a, err)
	}
	return reply, nil
}

// roundTrip makes one exchange on an idle connection or a new one. Until send is called, nothing was sent; it is called
// once.
func (c *Client) roundTrip(ctx context.Context, x *call) (answer, error) {
	x.deadline = time.Now().Add(c.config.ExchangeTimeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(x.deadline) {
		x.deadline = sooner
	}
	var err error
	if x.conn, err = c.connect(ctx, x.deadline); err != nil {
		return answer{}, newFault(ctx, x.name, ErrNeverSent, err)
	}
	_ = x.conn.SetDeadline(x.deadline)
	stop := context.AfterFunc(ctx, x.conn.interrupt)
	a, usable, err := x.send(ctx, c.request(x.query))
	if stop() && usable {
		c.idle.put(x.conn)
	} else {
		_ = x.conn.Close()
	}
	return a, err
}

// connect returns a connection on which nothing has been sent of this exchange.
func (c *Client) connect(ctx context.Context, deadline time.Time) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if idle := c.idle.get(); idle != nil {
		return idle, nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return c.dial(ctx)
}

// dial makes a new connection. Its error is that of ctx when there is no time left to use it.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	if c.invalid != nil {
		return nil, c.invalid
	}
	conn, err := c.dialer.dial(ctx)
	if err == nil && ctx.Err() != nil {
		_ = conn.Close()
		return nil, ctx.Err()
	}
	return conn, err
}
