// Package client calls a pimsd: one-time passwords, enrollment, and how an account stands.
//
//	pimsd, err := client.New(client.Options{URL: "http://127.0.0.1:8080", Key: key})
//	…
//	otp, err := pimsd.OTP(ctx, pin)
//	switch {
//	case errors.Is(err, client.ReasonPINRefused): … ask the person for the PIN again …
//	case errors.Is(err, client.ReasonPINLocked): … send the person to the operator …
//	}
//
// It waits as long as an answer's Retry-After says and repeats the call, within Options.MaxWait and the context. It repeats
// after a lost answer only what can be repeated without harm: an OTP carries an Idempotency-Key, so that a repeat gives
// the OTP that was lost instead of spending another; an enrollment is never repeated, for it may have spent its SMS code.
//
// The package needs nothing but the standard library. It must never put a PIN, an SMS code, a key or an OTP into an error,
// and never try another PIN than the one that it was given.
package client

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Options say where pimsd is, and as whom it is called.
type Options struct {
	// URL is scheme and host, such as https://pimsd.example:8443; a path in front of the API's is kept.
	URL string
	// Key is an API key (`pimsd key create`) or a token of an issuer that pimsd trusts. It is a secret.
	Key string
	// Account names the account that a backend's key calls for; see For. Empty: the one that the key is bound to.
	Account string
	// HTTP makes the requests; nil means a client that waits a minute for an answer and follows no redirect. Its time-out should be
	// longer than a call may take: with the default settings of pimsd, 26 s for an OTP and 41 s for an enrollment.
	HTTP *http.Client
	// MaxWait bounds all waits of one call together; 0: 30 s; negative: it never waits.
	MaxWait time.Duration
}

// defaultMaxWait and answerTimeout are what Options say.
const (
	defaultMaxWait = 30 * time.Second
	answerTimeout  = time.Minute
)

// Client calls one pimsd. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	options Options
}

// New makes a client. It does not connect.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("client: the URL of pimsd must be one such as https://pimsd.example:8443")
	}
	if o.Key == "" {
		return nil, errors.New("client: the key is missing")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{
			Timeout:       answerTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	o.MaxWait = cmp.Or(o.MaxWait, defaultMaxWait)
	return &Client{base, o}, nil
}

// For returns the same client on behalf of an account, for those whose key is a backend's.
func (c *Client) For(account string) *Client {
	other := *c
	other.options.Account = account
	return &other
}

// OTP asks for one one-time password with the PIN, 4 to 8 digits. It is good once, shortly, and a secret.
func (c *Client) OTP(ctx context.Context, pin string) (string, error) {
	var result struct {
		OTP string `json:"otp"`
	}
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/authentication/otp", key: newKey(), repeatable: true,
		body: map[string]string{"action": "withPIN", "pinCode": pin},
	}, &result)
	return result.OTP, err
}

// EnrollmentStatus describes, as inWebo sees it, the account that an SMS code was sent for.
type EnrollmentStatus string

// The answers to CheckSMSCode.
const (
	NotEnrolled     EnrollmentStatus = "NotEnrolled"
	AlreadyEnrolled EnrollmentStatus = "AlreadyEnrolled"
)

// CheckSMSCode asks inWebo whether the account of an SMS code is enrolled there. It spends neither the code nor one of the
// account's activations. The key needs the scope enroll.
func (c *Client) CheckSMSCode(ctx context.Context, code string) (EnrollmentStatus, error) {
	var result struct {
		Status EnrollmentStatus `json:"status"`
	}
	err := c.call(ctx, request{
		method: http.MethodPost, path: "/v1/authentication/smscode", repeatable: true,
		body: map[string]string{"action": "enrollment", "smsCode": code},
	}, &result)
	return result.Status, err
}

// Enrollment is what enrolling a device takes.
type Enrollment struct {
	PIN, SMSCode string
	// Replace enrolls again although the account has a device, which stays until the new one is stored.
	Replace bool
}

// Enroll enrolls a device for the account. When its outcome is not known — an error that is no *Error, or NoInternet — ask
// how the Account stands: if no device is activated, the way on is a new SMS code and the same call. The key needs the scope
// enroll.
func (c *Client) Enroll(ctx context.Context, e Enrollment) error {
	path := "/v1/authentication/enrollment"
	if e.Replace {
		path += "?replace=true"
	}
	return c.call(ctx, request{
		method: http.MethodPost, path: path, body: map[string]string{"action": "enroll", "pinCode": e.PIN, "smsCode": e.SMSCode},
	}, nil)
}

// Account is how an account stands, as pimsd last saw it.
type Account struct {
	DeviceActivated bool      `json:"isDeviceActivated"`
	Blocked         Blocked   `json:"isAccountBlocked"`
	State           string    `json:"state"` // "not enrolled", "idle" or "held"
	InDoubt         bool      `json:"inDoubt"`
	DoubtSince      time.Time `json:"doubtSince"` // this and the other times are zero when there is none
	Service         string    `json:"service"`
	DeviceName      string    `json:"deviceName"`
	EnrolledAt      time.Time `json:"enrolledAt"`
	LastOTPAt       time.Time `json:"lastOtpAt"`
	OTPsLeft        *int      `json:"otpsLeft"` // nil when there is no quota
	WrongPINs       int       `json:"wrongPins"`
	PINLocked       bool      `json:"pinLocked"`
	SMSActivations  int       `json:"smsActivations"`
}

// Blocked is whether inWebo has blocked an account, as its last answer let see.
type Blocked string

// The values of Blocked.
const (
	NotBlocked Blocked = "NotBlocked"
	PINBlocked Blocked = "PinBlocked"
	Unknown    Blocked = "Unknown"
)

// Account returns the state of the account. It sends nothing to inWebo.
func (c *Client) Account(ctx context.Context) (Account, error) {
	var account Account
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/authentication/account", repeatable: true}, &account)
	return account, err
}

// Unlock lets the PIN guard forward guesses again. Make sure of the PIN first: inWebo's own count goes on. The key needs the
// scope unlock.
func (c *Client) Unlock(ctx context.Context) error {
	return c.call(ctx, request{
		method: http.MethodPost, path: "/v1/authentication/account", repeatable: true, body: map[string]string{"action": "unlock"},
	}, nil)
}
