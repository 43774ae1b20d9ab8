package inwebo

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"time"
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
	ports := map[string]string{"http": "80", "https": "443"}
	port, ok := ports[u.Scheme]
	if !ok {
		return "", "", nil, errScheme
	}
	if u.Port() != "" {
		port = u.Port()
	}
	host = u.Hostname()
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
	return d.proxy != nil && d.tls == nil
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
	if d.proxy == nil {
		return d.connect(ctx, way, d.address)
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
