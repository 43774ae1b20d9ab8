package pimsdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Answer is what a caller got, taken apart.
type Answer struct {
	Status int
	Header http.Header
	Body   string

	Transaction string // transactionId
	OTP         string // empty when there is none
	Code        int    // 0 when there is no error
	Label       string
}

// Paths of the calls (docs/contract.md §1, §4).
const (
	pathOTP        = "/v1/authentication/otp"
	PathSMSCode    = "/v1/authentication/smscode"
	PathEnrollment = "/v1/authentication/enrollment"
	PathAccount    = "/v1/authentication/account"
)

// WithPIN is the body of the main call.
func WithPIN(pin string) string { return fmt.Sprintf(`{"action":"withPIN","pinCode":%q}`, pin) }

// Ask makes the main call, with that key and body, and those lines of the header. Without a key it sends no credential.
func (d *Daemon) Ask(key, body string, header ...string) Answer {
	d.tb.Helper()
	return d.Call(key, http.MethodPost, pathOTP, body, header...)
}

// Call makes any call of the API, with that key and body, and those lines of the header.
func (d *Daemon) Call(key, method, path, body string, header ...string) Answer {
	d.tb.Helper()
	return d.call(key, method, d.URL(path), body, header...)
}

// Admin makes any call of administration, as Call does.
func (d *Daemon) Admin(key, method, path, body string, header ...string) Answer {
	d.tb.Helper()
	return d.call(key, method, d.AdminURL(path), body, header...)
}

func (d *Daemon) call(key, method, url, body string, header ...string) Answer {
	d.tb.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(d.tb.Context()), method, url, strings.NewReader(body))
	if err != nil {
		d.tb.Error(err)
		return Answer{}
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Content-Type" {
			req.Header.Del(name)
		}
		req.Header.Add(name, value)
	}
	return d.Do(req)
}

// Do sends a request to the API's listener. The answer must be one of those in the contract.
func (d *Daemon) Do(req *http.Request) Answer {
	d.tb.Helper()
	a := d.send(req)
	if a.Status == 0 {
		return a
	}
	d.contract.Check(d.tb, req, &http.Response{StatusCode: a.Status, Header: a.Header}, []byte(a.Body))
	if a.Header.Get("Content-Type") != "application/json" || req.Method == http.MethodHead {
		return a
	}
	var envelope struct {
		Transaction string `json:"transactionId"`
		Result      struct {
			OTP string `json:"otp"`
		} `json:"result"`
		Error struct {
			Code  int    `json:"code"`
			Label string `json:"label"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.Body), &envelope); err != nil {
		d.tb.Errorf("the answer is no envelope: %v", err)
	}
	a.Transaction, a.OTP, a.Code, a.Label = envelope.Transaction, envelope.Result.OTP, envelope.Error.Code, envelope.Error.Label
	return a
}

// send makes one request and reads the answer. Its status is 0 when there is none.
func (d *Daemon) send(req *http.Request) Answer {
	d.tb.Helper()
	resp, err := d.client.Do(req)
	if err != nil {
		d.tb.Error(err)
		return Answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.tb.Errorf("read the answer: %v", err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
}

// get is send for what has no more than a URL.
func (d *Daemon) get(url string) Answer {
	d.tb.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(d.tb.Context()), http.MethodGet, url, http.NoBody)
	if err != nil {
		d.tb.Error(err)
		return Answer{}
	}
	return d.send(req)
}
