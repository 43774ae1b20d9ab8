package pimsdtest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// inputCauses are requests that no code below the HTTP layer should ever see.
func inputCauses() []cause {
	missing := func(name, parameter, body string) cause {
		return cause{name: name, code: 2101, status: 400, parameter: parameter, body: body}
	}
	invalid := func(name string, status int, parameter, body string) cause {
		return cause{name: name, code: 2102, status: status, parameter: parameter, body: body}
	}
	return []cause{
		missing("no action", "action", `{"pinCode":"1234"}`),
		missing("action is null", "action", `{"action":null,"pinCode":"1234"}`),
		missing("no pinCode", "pinCode", `{"action":"withPIN"}`),
		missing("pinCode is null", "pinCode", `{"action":"withPIN","pinCode":null}`),
		missing("pinCode is empty", "pinCode", `{"action":"withPIN","pinCode":""}`),
		missing("nothing", "action", `{}`),

		invalid("a list", 400, "body", `[]`),
		invalid("null", 400, "body", `null`),
		invalid("blank", 400, "body", ` `),
		invalid("trailing data", 400, "body", pimsdtest.WithPIN("1234")+`{}`),
		invalid("a repeated name", 400, "body", `{"action":"withPIN","pinCode":"1234","pinCode":"1234"}`),
		invalid("no UTF-8", 400, "body", "{\"action\":\"withPIN\",\"pinCode\":\"12\xff34\"}"),
		invalid("17 KiB", 413, "body", `{"action":"withPIN","pinCode":"1234"`+strings.Repeat(" ", 17<<10)+`}`),
		invalid("a number", 400, "pinCode", `{"action":"withPIN","pinCode":1234}`),
		invalid("three digits", 400, "pinCode", pimsdtest.WithPIN("123")),
		invalid("nine digits", 400, "pinCode", pimsdtest.WithPIN("123456789")),
		invalid("letters", 400, "pinCode", pimsdtest.WithPIN("12a4")),
		invalid("digits of another script", 400, "pinCode", pimsdtest.WithPIN("١٢٣٤")),
		invalid("another case", 400, "PinCode", `{"action":"withPIN","PinCode":"1234"}`),
		invalid("an unknown name", 400, "account", `{"action":"withPIN","pinCode":"1234","account":"bob"}`),
		invalid("an unknown name that no label repeats", 400, "body", `{"action":"withPIN","pinCode":"1234","<b>":""}`),
		invalid("another action", 400, "action", `{"action":"withBiokey","pinCode":"1234"}`),
		invalid("the action in another case", 400, "action", `{"action":"withpin","pinCode":"1234"}`),
	}
}

// strays are requests that are no main call at all, by the status and code of their answer.
func strays(a *pimsdtest.Account) map[string]*http.Request {
	requests := map[string]*http.Request{}
	add := func(name, method, path string, change func(http.Header)) {
		req, _ := http.NewRequest(method, a.Daemon.URL(path), strings.NewReader(pimsdtest.WithPIN(a.PIN)))
		req.Header.Set("Authorization", "Bearer "+a.Key)
		req.Header.Set("Content-Type", "application/json")
		change(req.Header)
		requests[name] = req
	}
	const call = "/v1/authentication/otp"
	as := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	asIs := func(http.Header) {}
	add("404 2002 wrong path", http.MethodPost, "/v1/authentication/otps", asIs)
	add("404 2002 slash at the end", http.MethodPost, call+"/", asIs)
	add("405 2002 wrong method", http.MethodPut, call, asIs)
	add("401 2301 no credential", http.MethodPost, call, func(h http.Header) { h.Del("Authorization") })
	add("401 2301 another's key", http.MethodPost, call, as("Authorization", "Bearer "+a.Key+"a"))
	add("415 2102 another content type", http.MethodPost, call, as("Content-Type", "text/plain"))
	add("415 2102 no content type", http.MethodPost, call, func(h http.Header) { h.Del("Content-Type") })
	return requests
}

func TestBadInputNeverReachesInwebo(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	reached := len(a.Daemon.Inwebo.History(anything))
	for _, c := range inputCauses() {
		if got := a.Daemon.Ask(a.Key, c.body); got.Code != c.code || got.Status != c.status {
			t.Errorf("%s: %d %s", c.name, got.Status, got.Body)
		}
	}
	for name, req := range strays(a) {
		got := a.Daemon.Do(req)
		if want := strings.SplitN(name, " ", 3); want[0] != fmt.Sprint(got.Status) || want[1] != fmt.Sprint(got.Code) {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	if got := len(a.Daemon.Inwebo.History(anything)); got != reached {
		t.Errorf("inWebo heard %d requests", got-reached)
	}
	wantOTP(t, a)
}

// net/http answers this one itself, unless it is told not to.
func TestOptionsOfTheServerAreAnEnvelope(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, d.URL("/"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = "*"
	if got := d.Do(req); got.Status != http.StatusNotFound || got.Code != 2002 {
		t.Errorf("%d %q", got.Status, got.Body)
	}
}

// What is no request of HTTP/1 is refused before there is a call (docs/contract.md §1): with a status that no call has, or without an
// envelope. The connection ends with it, nothing is logged, and the next call is answered.
func TestWhatIsNoRequestOfHTTP(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	const host = "Host: x\r\n"
	for _, address := range []string{a.Daemon.URL(""), a.Daemon.AdminURL("")} {
		for text, want := range map[string]string{
			"hello\r\n\r\n":                                   "400 Bad Request",
			"GET / HTTP/1.1\r\n\r\n":                          "400 Bad Request",
			"GET /%zz HTTP/1.1\r\n" + host + "\r\n":           "400 Bad Request",
			"GET / HTTP/1.1\r\n" + host + "A name: x\r\n\r\n": "400 Bad Request",
			"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n": "400 Bad Request",
			"GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 32<<10) + "\r\n\r\n":  "431 Request Header Fields Too Large",
			"POST / HTTP/1.1\r\n" + host + "Expect: tea\r\nContent-Length: 1\r\n\r\n":       "417 Expectation Failed",
			"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n":                "501 Not Implemented",
			"GET / HTTP/3.0\r\n" + host + "\r\n":                                            "505 HTTP Version Not Supported",
		} {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, text) // which may be refused before its end
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%.40q: %v", text, err)
			}
			if !strings.HasPrefix(resp.Status, want) || !resp.Close || strings.Contains(resp.Header.Get("Content-Type"), "json") {
				t.Errorf("%.40q: %s %v", text, resp.Status, resp.Header)
			}
			_, _ = resp.Body.Close(), conn.Close()
		}
	}
	if log := a.Daemon.Log(); strings.Contains(log, `"message":"request"`) {
		t.Error("a call is logged")
	}
	wantOTP(t, a)
}
