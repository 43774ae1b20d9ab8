package inwebo

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/net/proxy"
)

// dialer makes connections to one host: directly or through a proxy, with TLS or without.
type dialer struct {
	host    string      // of inWebo, for TLS
	address string      // host:port of inWebo
	tls     *tls.Config // for inWebo; nil without TLS
	timeout time.Duration

	proxy        *url.URL // nil: none
	proxyAddress string
	proxyTLS     *tls.Config // nil without TLS to the proxy
}

var errScheme = errors.New("the scheme of the URL is not supported")

func newDialer(config Config) (*dialer, error) {
	var err error
	d := &dialer{timeout: config.DialTimeout, proxy: config.Proxy}
	if d.host, d.address, d.tls, err = endpoint(config.BaseURL, config); err != nil {
		return nil, err
	}
	if d.proxy == nil {
		return d, nil
	}
	_, d.proxyAddress, d.proxyTLS, err = endpoint(d.proxy, config)
	return d, err
}

// endpoint returns the host, the address and the TLS configuration of what a URL names.
func endpoint(u *url.URL, config Config) (host, address string, _ *tls.Config, _ error) {
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080"}
	port, ok := ports[u.Scheme]
	if !ok {
		return "", "", nil, errScheme
	}
	if u.Port() != "" {
		port = u.Port()
	}
	host = u.Hostname()
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	address = net.JoinHostPort(host, port)
	if u.Scheme != "https" {
		return host, address, nil, nil
	}
	// Over HTTP/2 a request could be sent twice: it is not offered.
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: config.RootCAs, ServerName: host, NextProtos: []string{"http/1.1"}}
	if config.ClientCertificate != nil {
		c.Certificates = []tls.Certificate{*config.ClientCertificate}
	}
	return host, address, c, nil
}

// isForward reports whether requests go to the proxy itself, which forwards them: without TLS to inWebo there is no
// tunnel.
func (d *dialer) isForward() bool {
	return d.proxy != nil && d.proxy.Scheme != "socks5" && d.tls == nil
}

// dial makes a connection. Looking up the name, connecting, and each step through a proxy and of TLS end with ctx.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	var way journey
	err := d.reach(ctx, &way)
	if err == nil && d.tls != nil {
		err = d.secure(ctx, &way, d.tls)
	}
	if err != nil {
		way.abandon()
		return nil, err
	}
	return newConn(way.conn, way.tcp), nil
}

// journey is a connection while it is made.
type journey struct {
	tcp  net.Conn // nil at first
	conn net.Conn // what has been made of it
}

func (j *journey) abandon() {
	if j.conn != nil {
		_ = j.conn.Close()
	}
}

// reach connects to inWebo, or to the proxy and through it.
func (d *dialer) reach(ctx context.Context, way *journey) error {
	switch {
	case d.proxy == nil:
		return d.connect(ctx, way, d.address)
	case d.proxy.Scheme == "socks5":
		return d.throughSOCKS(ctx, way)
	}
	if err := d.connect(ctx, way, d.proxyAddress); err != nil {
		return err
	}
	if d.proxyTLS != nil {
		if err := d.secure(ctx, way, d.proxyTLS); err != nil {
			return err
		}
	}
	if d.isForward() {
		return nil
	}
	return d.tunnel(ctx, way)
}

func (d *dialer) connect(ctx context.Context, way *journey, address string) (err error) {
	if way.tcp, err = (&net.Dialer{Timeout: d.timeout}).DialContext(ctx, "tcp", address); err == nil {
		way.conn = way.tcp
	}
	return err
}

// secure makes a TLS handshake over the connection.
func (d *dialer) secure(ctx context.Context, way *journey, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	secured := tls.Client(way.conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	way.conn = secured
	return nil
}

// throughSOCKS connects to inWebo through a SOCKS5 proxy.
func (d *dialer) throughSOCKS(ctx context.Context, way *journey) error {
	ctx, cancel := context.WithTimeout(ctx, 2*d.timeout) // connecting to the proxy, and then through it
	defer cancel()
	var auth *proxy.Auth
	if user := d.proxy.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	socks, err := proxy.SOCKS5("tcp", d.proxyAddress, auth, connector{d, way})
	if err != nil {
		return err
	}
	through, ok := socks.(proxy.ContextDialer)
	if !ok {
		return errScheme
	}
	made, err := through.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return err
	}
	way.conn = made
	return nil
}

// connector makes the TCP connection for a SOCKS5 proxy.
type connector struct {
	*dialer
	way *journey
}

// Dial is not used, and is part of proxy.Dialer.
func (c connector) Dial(network, address string) (net.Conn, error) {
	return c.DialContext(context.Background(), network, address)
}

// DialContext connects to address, which is that of the proxy.
func (c connector) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	err := c.connect(ctx, c.way, address)
	return c.way.tcp, err
}
