package inwebo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

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

	ExchangeTimeout time.Duration // one request and its answer, dialling included
	DialTimeout     time.Duration // connecting, and again the TLS handshake

	Proxy             *url.URL         // nil: none; the environment is not asked
	RootCAs           *x509.CertPool   // nil: the system's
	ClientCertificate *tls.Certificate // nil: none

	// Observe, when set, hears of every exchange: err is nil, a *Refusal or a *Fault.
	Observe func(exchange Exchange, err error, took time.Duration)
}

// maxAnswerBytes bounds an answer, and once more its headers; the largest answer seen has 3 KiB.
const maxAnswerBytes = 64 << 10

// idleTimeout is short, because a connection that the server closed meanwhile shows as "no answer".
const idleTimeout = 5 * time.Second

// maxIdleConns lets a loaded service keep its connections between a setup and its finalize.
const maxIdleConns = 256

// Client makes the exchanges. It is safe for concurrent use.
//
// It uses the transport without an http.Client, which would follow redirects and quote URLs in its errors.
type Client struct {
	config    Config
	transport *http.Transport
	url       url.URL
	header    http.Header // of every request; nobody changes it
}

// New makes a client. It does not connect.
func New(config Config) *Client {
	target := *config.BaseURL
	target.Path = strings.TrimSuffix(target.Path, "/") + config.Path // URL.JoinPath drops the slash behind a bare host
	header := http.Header{"User-Agent": {config.UserAgent}, "Connection": {"Keep-Alive"}}
	return &Client{config: config, transport: newTransport(config), url: target, header: header}
}

func newTransport(config Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyURL(config.Proxy),
		DialContext:            (&net.Dialer{Timeout: config.DialTimeout}).DialContext,
		TLSHandshakeTimeout:    config.DialTimeout,
		TLSClientConfig:        tlsConfig(config),
		Protocols:              http1Only(), // HTTP/2 would re-send requests that it believes unprocessed
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswerBytes,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleTimeout,
	}
}

func http1Only() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

func tlsConfig(config Config) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: config.RootCAs}
	if config.ClientCertificate != nil {
		c.Certificates = []tls.Certificate{*config.ClientCertificate}
	}
	return c
}

// Close gives up the idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// exchange sends one request, once, and reads its answer with read.
func exchange[T any](ctx context.Context, c *Client, name Exchange, query *query, read func(answer) (T, error)) (T, error) {
	start := time.Now()
	ctx, end := tracing.StartCall(ctx, "inwebo "+string(name))
	reply, err := roundTripAndRead(ctx, c, name, query, read)
	end(err)
	if c.config.Observe != nil {
		c.config.Observe(name, err, time.Since(start))
	}
	return reply, err
}

func roundTripAndRead[T any](ctx context.Context, c *Client, name Exchange, query *query, read func(answer) (T, error)) (T, error) {
	var none T
	a, err := c.roundTrip(ctx, name, query)
	if err != nil {
		return none, err
	}
	reply, err := read(a)
	if err != nil {
		return none, answerFault(name, a, err)
	}
	return reply, nil
}

func (c *Client) roundTrip(ctx context.Context, name Exchange, query *query) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.ExchangeTimeout)
	defer cancel()
	var sent sentTrace
	response, err := c.transport.RoundTrip(c.request(sent.watch(ctx), query))
	if err != nil {
		return answer{}, sent.fault(name, err)
	}
	defer func() { _ = response.Body.Close() }()
	return readResponse(name, response, &sent)
}

// readResponse makes an answer of what came back. sent tells how far the request had come.
func readResponse(name Exchange, response *http.Response, sent *sentTrace) (answer, error) {
	if response.StatusCode != http.StatusOK { // the body stays unread: that of a 101 has no end
		return answer{}, statusFault(name, response.StatusCode)
	}
	d, body, err := readDocument(response.Body)
	if err == nil {
		return newAnswer(name, d, body)
	}
	if body.err != nil && !errors.Is(body.err, io.EOF) && !errors.Is(body.err, errTooLong) {
		return answer{}, sent.fault(name, body.err)
	}
	body.drain()
	return answer{}, documentFault(name, d, body, err)
}

// request is a GET that http.Transport cannot send twice: with a body that is there, though empty, and cannot be had
// again, it is not replayable when a reused connection dies. "identity" makes it go out bare all the same: without it
// the transport tries for 200 ms to see whether the body is empty, and on a busy machine sends it chunked.
func (c *Client) request(ctx context.Context, query *query) *http.Request {
	target := c.url
	target.RawQuery = query.text.String()
	request := &http.Request{
		Method: http.MethodGet, URL: &target, Header: c.header,
		Body: nothing{}, TransferEncoding: []string{"identity"},
	}
	return request.WithContext(ctx)
}

// nothing is a body that is there and empty.
type nothing struct{}

func (nothing) Read([]byte) (int, error)         { return 0, io.EOF }
func (nothing) WriteTo(io.Writer) (int64, error) { return 0, nil } // without it, io.Copy takes a buffer
func (nothing) Close() error                     { return nil }

// localErrors are the errors of a machine that has nothing left to make a connection with.
var localErrors = [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM}

// isLocal reports whether err is one of localErrors. The resolver keeps only the text of an error.
func isLocal(err error) bool {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	for _, local := range localErrors {
		if errors.Is(err, local) || isDNS && strings.HasSuffix(dns.Err, local.Error()) {
			return true
		}
	}
	return false
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

// sentTrace tells whether a request can have left: not before a connection was there to carry it.
type sentTrace struct{ connected atomic.Bool }

func (s *sentTrace) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { s.connected.Store(true) },
	})
}

func (s *sentTrace) fault(name Exchange, err error) *Fault {
	f := &Fault{name, ErrNeverSent, ErrNetwork, describe(err)}
	if s.connected.Load() {
		f.how = ErrNoAnswer
	}
	switch {
	case isLate(err):
		f.why = ErrLate
	case isLocal(err):
		f.why = ErrLocal
	}
	return f
}
