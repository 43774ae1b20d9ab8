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
	conn    net.Conn
	reader  *bufio.Reader
	head    []byte // of every request, up to the name of the account
	tail    []byte // and from there on
	request []byte
}

func newCaller(ctx context.Context, address, key string) (*caller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &caller{
		conn: conn, reader: bufio.NewReader(conn),
		head: fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\nX-Pims-Account: ", otpPath, address, key, len(otpBody)),
		tail: []byte("\r\n\r\n" + otpBody),
	}, nil
}

// ask asks for an OTP of the account, and tells how long the answer took. What is not an OTP is an error.
func (c *caller) ask(account string) (time.Duration, error) {
	c.request = append(append(append(c.request[:0], c.head...), account...), c.tail...)
	began := time.Now()
	if err := c.conn.SetDeadline(began.Add(patience)); err != nil {
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
	took := time.Since(began)
	_ = response.Body.Close()
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"SUCCEEDED"`)) {
		return 0, fmt.Errorf("the answer is %s: %s", response.Status, body)
	}
	return took, nil
}

func (c *caller) close() { _ = c.conn.Close() }
