package inwebo

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// tunnel asks the HTTP proxy at the other end for a connection to inWebo.
func (d *dialer) tunnel(ctx context.Context, way net.Conn) error {
	deadline := time.Now().Add(d.timeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	c := &conn{Conn: way}
	c.reader = bufio.NewReader(c)
	_ = c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, c.interrupt)
	err := c.askForTunnel(d.address, d.proxy)
	if !stop() {
		return context.Cause(ctx)
	}
	_ = c.SetDeadline(time.Time{})
	return err
}

func (c *conn) askForTunnel(address string, proxy *url.URL) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n" + proxyAuthorization(proxy) + "\r\n"
	if _, err := c.Write([]byte(request)); err != nil {
		return err
	}
	response, err := c.readHead(&http.Request{Method: http.MethodConnect}) //nolint:bodyclose // the connection is closed instead
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return proxyError(response.StatusCode)
	case c.reader.Buffered() > 0: // inWebo does not speak first
		return errTooMuch
	default:
		return nil
	}
}

// proxyAuthorization is the header line with the credentials of the proxy's URL; empty when it has none.
func proxyAuthorization(proxy *url.URL) string {
	if proxy == nil || proxy.User == nil {
		return ""
	}
	password, _ := proxy.User.Password()
	credentials := base64.StdEncoding.EncodeToString([]byte(proxy.User.Username() + ":" + password))
	return "Proxy-Authorization: Basic " + credentials + "\r\n"
}

// proxyError is the status with which a proxy refused a tunnel.
type proxyError int

// Error says what the status means and what to do.
func (e proxyError) Error() string {
	switch e {
	case http.StatusProxyAuthRequired:
		return "the proxy asks for a user name and a password: set them in inwebo.proxy_url (HTTP 407)"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Sprintf("the proxy cannot reach inWebo (HTTP %d)", int(e))
	default:
		return fmt.Sprintf("the proxy refuses to connect to inWebo: check inwebo.url and the rules of the proxy (HTTP %d)", int(e))
	}
}
