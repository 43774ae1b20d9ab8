package pimsdtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	openapi "github.com/pimsd/pimsd/api"
)

const (
	otpPath     = "/v1/authentication/otp"
	contentType = "Content-Type: application/yaml; charset=utf-8" // of the contract
	succeeded   = `{"transactionId":"953cfefb-bc72","status":"SUCCEEDED","result":{"otp":"0lyo2o6c"}}`
)

// otpWith returns the answer with an OTP, with replacement in the place of the first old.
func otpWith(old, replacement string) string { return strings.Replace(succeeded, old, replacement, 1) }

func failed(code int) string {
	return fmt.Sprintf(`{"transactionId":"953cfefb-bc72","status":"FAILED","error":{"code":%d,"label":"a label"}}`, code)
}

// documented is an answer, one of pimsd's, or nearly so.
type documented struct {
	method, path string
	status       int
	header       string // lines that come on top of those of every answer; `Name:` takes one away
	body         string
}

func (a documented) verify(c *Contract) error {
	header := http.Header{
		"Content-Type":  {"application/json"},
		"Cache-Control": {"no-store"},
		"X-Request-Id":  {"953cfefb-bc72-4d6e-9d43-0a1b2c3d4e5f"},
	}
	if a.status >= http.StatusBadRequest {
		header.Set("X-Pims-Reason", "internal_error")
		header.Set("X-Pims-Advice", "operator")
	}
	for line := range strings.Lines(a.header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		header.Set(name, strings.TrimSpace(value))
		if value == "" {
			header.Del(name)
		}
	}
	resp := &http.Response{StatusCode: a.status, Header: header}
	return c.verify(httptest.NewRequest(a.method, a.path, http.NoBody), resp, []byte(a.body))
}

func TestAnswersOfTheContractPass(t *testing.T) {
	c := NewContract(t)
	for name, a := range map[string]documented{
		"an OTP":             {"POST", otpPath, 200, "", succeeded},
		"a short OTP":        {"POST", otpPath, 200, "", otpWith("0lyo2o6c", "a")},
		"another header":     {"POST", otpPath, 200, "X-Content-Type-Options: nosniff", succeeded},
		"a query":            {"POST", otpPath + "?x=1", 200, "", succeeded},
		"refused":            {"POST", otpPath, 403, "", failed(2308)},
		"not authenticated":  {"POST", otpPath, 401, `WWW-Authenticate: Bearer realm="pimsd"`, failed(2301)},
		"busy":               {"POST", otpPath, 409, "Retry-After: 1", failed(2311)},
		"out of step":        {"POST", otpPath, 409, "", failed(2311)},
		"draining":           {"POST", otpPath, 503, "Retry-After: 5", failed(2001)},
		"wrong method":       {"GET", otpPath, 405, "Allow: POST", failed(2002)},
		"wrong method, HEAD": {"HEAD", otpPath, 405, "Allow: POST", ""},
		"unheard-of method":  {"BREW", otpPath, 405, "Allow: POST", failed(2002)},
		"wrong path":         {"GET", "/", 404, "", failed(2002)},
		"the contract":       {"GET", "/openapi.yaml", 200, contentType, openapi.Document()},
	} {
		if err := a.verify(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOtherAnswersAreRefused(t *testing.T) {
	c := NewContract(t)
	for _, tt := range []struct {
		name, reason string
		answer       documented
	}{
		{"no status", "missing property 'status'", documented{"POST", otpPath, 200, "", otpWith(`"status":"SUCCEEDED",`, "")}},
		{"a third status", "must be 'SUCCEEDED'", documented{"POST", otpPath, 200, "", otpWith("SUCCEEDED", "PENDING")}},
		{"an extra property", "'at' not allowed", documented{"POST", otpPath, 200, "", otpWith("{", `{"at":1,`)}},
		{"an extra property inside", "'ttl' not allowed", documented{"POST", otpPath, 200, "", otpWith(`{"otp"`, `{"ttl":30,"otp"`)}},
		{"result and error", "'error' not allowed", documented{"POST", otpPath, 200, "", otpWith("{", `{"error":{"code":2000,"label":"x"},`)}},
		{"an OTP in capitals", "does not match pattern", documented{"POST", otpPath, 200, "", otpWith("0lyo2o6c", "0LYO2O6C")}},
		{"an OTP that is a number", "want string", documented{"POST", otpPath, 200, "", otpWith(`"0lyo2o6c"`, "12345678")}},
		{"a longer transactionId", "does not match pattern", documented{"POST", otpPath, 200, "", otpWith("bc72", "bc72-4d6e")}},
		{"something after the envelope", "after top-level value", documented{"POST", otpPath, 200, "", succeeded + "{}"}},
		{"no body", "EOF", documented{"POST", otpPath, 200, "", ""}},
		{"no JSON", `"text/plain"`, documented{"POST", otpPath, 404, "Content-Type: text/plain", "404 page not found\n"}},
		{"failed with 200", "missing property 'result'", documented{"POST", otpPath, 200, "", failed(2308)}},
		{"succeeded with 403", "missing property 'error'", documented{"POST", otpPath, 403, "", succeeded}},
		{"a code that is text", "want integer", documented{"POST", otpPath, 403, "", strings.Replace(failed(2308), "2308", `"2308"`, 1)}},
		{"an unknown code", "must be one of 2000", documented{"POST", otpPath, 403, "", failed(2999)}},
		{"a code of another status", "code 2310", documented{"POST", otpPath, 403, "", failed(2310)}},
		{"an undocumented status", "status 418", documented{"POST", otpPath, 418, "", failed(2000)}},
		{"a redirect", "status 301", documented{"POST", otpPath, 301, "Location: /", ""}},
		{"a missing X-Request-Id", `"X-Request-Id" missing`, documented{"POST", otpPath, 200, "X-Request-Id:", succeeded}},
		{"a missing Cache-Control", `"Cache-Control" missing`, documented{"POST", otpPath, 200, "Cache-Control:", succeeded}},
		{"another Cache-Control", "must be 'no-store'", documented{"POST", otpPath, 200, "Cache-Control: private", succeeded}},
		{"a failure without a reason", `"X-Pims-Reason" missing`, documented{"POST", otpPath, 403, "X-Pims-Reason:", failed(2308)}},
		{"an unknown advice", "must be one of", documented{"POST", otpPath, 403, "X-Pims-Advice: pray", failed(2308)}},
		{"401 without WWW-Authenticate", `"WWW-Authenticate" missing`, documented{"POST", otpPath, 401, "", failed(2301)}},
		{"503 without Retry-After", `"Retry-After" missing`, documented{"POST", otpPath, 503, "", failed(2001)}},
		{"a Retry-After of a date", "invalid integer", documented{"POST", otpPath, 503, "Retry-After: Wed, 21 Oct 2026", failed(2001)}},
		{"a Retry-After of nothing", "want 1", documented{"POST", otpPath, 409, "Retry-After: 0", failed(2311)}},
		{"405 without Allow", `"Allow" missing`, documented{"GET", otpPath, 405, "", failed(2002)}},
		{"HEAD, 405 without Allow", `"Allow" missing`, documented{"HEAD", otpPath, 405, "", ""}},
		{"404 for a wrong method", "status 404", documented{"GET", otpPath, 404, "", failed(2002)}},
		{"405 for a wrong path", "status 405", documented{"GET", "/", 405, "Allow: POST", failed(2002)}},
		{"an OTP at a wrong path", "status 200", documented{"POST", otpPath + "/", 200, "", succeeded}},
		{"another document", "missing property 'paths'", documented{"GET", "/openapi.yaml", 200, contentType, "openapi: 3.1.0\ninfo: {}\n"}},
		{"the contract as JSON", `"application/json"`, documented{"GET", "/openapi.yaml", 200, "", "{}"}},
	} {
		if err := tt.answer.verify(c); err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.reason)
		}
	}
}

func TestCheckFailsTheTest(t *testing.T) {
	c := NewContract(t)
	req := httptest.NewRequest(http.MethodPost, otpPath, http.NoBody)
	var spy spyTB
	c.Check(&spy, req, &http.Response{StatusCode: http.StatusTeapot}, nil)
	if want := "POST /v1/authentication/otp"; !strings.Contains(spy.said, want) {
		t.Errorf("Check said %q, want something about %q", spy.said, want)
	}
}

type spyTB struct {
	testing.TB
	said string
}

func (s *spyTB) Helper()                           {}
func (s *spyTB) Errorf(format string, args ...any) { s.said = fmt.Sprintf(format, args...) }

func TestContractServesSeveralGoroutines(t *testing.T) {
	c := NewContract(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := (documented{"POST", otpPath, 200, "", succeeded}).verify(c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
