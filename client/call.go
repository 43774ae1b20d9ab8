package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// request is a call of the API.
type request struct {
	method, path string
	body         map[string]string // nil: none
	key          string            // the Idempotency-Key of all tries; empty: none
	repeatable   bool              // after a lost answer it can be sent again without harm
}

// newKey draws an Idempotency-Key.
func newKey() string {
	const bits = 128
	key := make([]byte, bits/8)
	_, _ = rand.Read(key) // it never fails on a system that pimsd's clients run on
	return hex.EncodeToString(key)
}

// How often a call is repeated after lost answers, and the first wait before it.
const (
	maxRepeats = 2
	firstPause = 200 * time.Millisecond
)

// call sends the request until there is an answer that waiting does not change, and reads its result into result.
func (c *Client) call(ctx context.Context, r request, result any) error {
	waited, pause, lost := time.Duration(0), firstPause, 0
	for {
		err := c.try(ctx, r, result)
		var answered *Error
		isAnswer := errors.As(err, &answered)
		var wait time.Duration
		switch {
		case err == nil:
			return nil
		case isAnswer && answered.RetryAfter > 0: // nothing was done
			wait = answered.RetryAfter
		case !isAnswer && r.repeatable && lost < maxRepeats && ctx.Err() == nil:
			lost++
			wait, pause = pause, 2*pause
		default:
			return err
		}
		if waited += wait; waited > c.options.MaxWait || !sleep(ctx, wait) {
			return err
		}
	}
}

// sleep waits, unless ctx ends before that: then it does not wait at all, or until it is canceled.
func sleep(ctx context.Context, wait time.Duration) bool {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	end, _ := waiting.Deadline()
	if limit, has := ctx.Deadline(); has && !end.Before(limit) {
		return false
	}
	<-waiting.Done()
	return ctx.Err() == nil
}

// maxAnswer is longer than any answer, in bytes.
const maxAnswer = 1 << 20

// try sends the request once.
func (c *Client) try(ctx context.Context, r request, result any) error {
	req, err := c.request(ctx, r)
	if err != nil {
		return err
	}
	resp, err := c.options.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("pimsd: no answer to %s %s: %w", r.method, req.URL.Path, cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("pimsd: the answer to %s %s broke off: %w", r.method, req.URL.Path, err)
	}
	return read(resp, body, result)
}

// cause leaves out the URL, which the method and the path tell already.
func cause(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}

func (c *Client) request(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("pimsd: encode the request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	path, query, _ := strings.Cut(r.path, "?")
	target := c.base.JoinPath(path)
	target.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("pimsd: make the request: %w", cause(err))
	}
	req.Header.Set("Authorization", "Bearer "+c.options.Key)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.options.Account != "" {
		req.Header.Set("X-Pims-Account", c.options.Account)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	return req, nil
}

// read takes an answer apart.
func read(resp *http.Response, body []byte, result any) error {
	var envelope struct {
		TransactionID string          `json:"transactionId"`
		Status        string          `json:"status"`
		Result        json.RawMessage `json:"result"`
		Error         struct {
			Code  Code   `json:"code"`
			Label string `json:"label"`
		} `json:"error"`
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	err := json.Unmarshal(body, &envelope)
	switch {
	case kind != "application/json" || err != nil:
		return &Error{Status: resp.StatusCode}
	case resp.StatusCode == http.StatusOK && envelope.Status == "SUCCEEDED" && result == nil:
		return nil
	case resp.StatusCode == http.StatusOK && envelope.Status == "SUCCEEDED":
		if err := json.Unmarshal(envelope.Result, result); err != nil {
			return &Error{Status: resp.StatusCode}
		}
		return nil
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return &Error{
		Code: envelope.Error.Code, Reason: Reason(resp.Header.Get("X-Pims-Reason")), Advice: Advice(resp.Header.Get("X-Pims-Advice")),
		Label: envelope.Error.Label, Status: resp.StatusCode, TransactionID: envelope.TransactionID,
		RequestID: resp.Header.Get("X-Request-Id"), RetryAfter: time.Duration(max(0, seconds)) * time.Second,
	}
}
