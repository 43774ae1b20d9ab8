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
	address := d.address
	if d.proxy != nil {
		address = d.proxyAddress
	}
	tcp, err := (&net.Dialer{Timeout: d.timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	way, err := d.reach(ctx, tcp)
	if err != nil {
		_ = way.Close()
		return nil, err
	}
	return newConn(way, tcp), nil
}

// reach returns the way to inWebo over a connection to it, or to the proxy and through it. On an error it is as far as it came.
func (d *dialer) reach(ctx context.Context, way net.Conn) (_ net.Conn, err error) {
	if d.proxyTLS != nil {
		if way, err = d.secure(ctx, way, d.proxyTLS); err != nil {
			return way, err
		}
	}
	if d.proxy != nil && !d.isForward() {
		if err := d.tunnel(ctx, way); err != nil {
			return way, err
		}
	}
	if d.tls != nil {
		return d.secure(ctx, way, d.tls)
	}
	return way, nil
}

// secure makes a TLS handshake over the connection, which it returns as it was when that fails.
func (d *dialer) secure(ctx context.Context, way net.Conn, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	secured := tls.Client(way, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return way, err
	}
	return secured, nil
}
