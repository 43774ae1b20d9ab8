package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	otpPath = "/v1/authentication/otp"
	otpBody = `{"action":"withPIN","pinCode":"` + pin + `"}`
)

// caller is a client with one connection that it keeps, and as little else as a client can do with: it shares the machine
// with what it measures.
type caller struct {
	address     string
	conn        net.Conn // nil before the first request: a service closes a connection on which none comes
	reader      *bufio.Reader
	requestHead []byte // of every request, up to the name of the account
	tail        []byte // and from there on
	request     []byte
}

func newCaller(address, key string) *caller {
	return &caller{
		address: address,
		requestHead: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\nX-Pims-Account: ", otpPath, address, key, len(otpBody)),
		tail: []byte("\r\n\r\n" + otpBody),
	}
}

// issueOTP asks for an OTP of the account, and tells how long the answer took. What is not an OTP is an error.
func (c *caller) issueOTP(ctx context.Context, account string) (took time.Duration, err error) {
	if c.conn == nil {
		if c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.address); err != nil {
			return 0, err
		}
		c.reader = bufio.NewReader(c.conn)
	}
	c.request = append(append(append(c.request[:0], c.requestHead...), account...), c.tail...)
	began := time.Now()
	if err := c.conn.SetDeadline(began.Add(processTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	took = time.Since(began)
	_ = response.Body.Close()
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"SUCCEEDED"`)) {
		return 0, fmt.Errorf("the answer is %s: %s", response.Status, body)
	}
	return took, nil
}

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}
