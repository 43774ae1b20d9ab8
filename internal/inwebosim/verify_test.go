package inwebosim

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// relyingParty asks authenticateExtended over HTTP and returns the answer's fields.
func relyingParty(t *testing.T, s *Simulator, change url.Values) reply {
	t.Helper()
	q := url.Values{"action": {"authenticateExtended"}, "serviceId": {"42"}, "userId": {"me"}, "format": {"json"}}
	maps.Copy(q, change)
	response, err := http.Get(s.ProtocolURL() + "/FS?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if q.Get("format") != "json" {
		r, err := parseReply("authenticateExtended", body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var fields map[string]string
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	r := reply{}
	for name, value := range fields {
		r[name] = []string{value}
	}
	return r
}

func TestAuthenticateExtended(t *testing.T) {
	now := newClock()
	s := started(t, Options{Now: now.Now, Seed: 9})
	c := enrolled(t, s)
	for _, format := range []string{"json", "xml"} {
		otp, err := c.otp()
		if err != nil {
			t.Fatal(err)
		}
		// Others follow, of this device and of another: it stays verifiable.
		for range 3 {
			mustVerify(t, s, c)
			mustVerify(t, s, enrolled(t, s))
		}
		now.advance(30 * time.Second)
		r := relyingParty(t, s, url.Values{"token": {otp}, "format": {format}})
		want := reply{
			"err": {"OK"}, "name": {"Test & Co"}, "alias": {c.id}, "version": {"0.2.11"}, "platform": {"android"},
			"type": {"mac"}, "timestamp": {now.Now().Format(time.DateTime)},
		}
		for name := range want {
			if r.one(name) != want.one(name) {
				t.Errorf("%s: %s is %q, want %q", format, name, r.one(name), want.one(name))
			}
		}
		r = relyingParty(t, s, url.Values{"token": {otp}, "format": {format}})
		if r.one("err") != "NOK:no device found" || len(r) != 1 {
			t.Errorf("%s: the second time it answers %v", format, r)
		}
	}
	otp, err := c.otp()
	if err != nil {
		t.Fatal(err)
	}
	now.advance(30*time.Second + 1)
	if r := relyingParty(t, s, url.Values{"token": {otp}}); r.one("err") != "NOK:no device found" {
		t.Errorf("an expired password answers %v", r)
	}
}

// TestPaddedPasswords: each length that occurs, padded to eight and not, once in all.
func TestPaddedPasswords(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	short := 0
	for i := range 200 {
		otp, err := c.otp()
		if err != nil {
			t.Fatal(err)
		}
		padded := otp + strings.Repeat("a", passwordLength-len(otp))
		if len(otp) < passwordLength {
			short++
			if len(otp) < passwordLength-1 && s.Verify(otp+"a") {
				t.Errorf("%q verifies half padded", otp)
			}
		}
		first, second := otp, padded
		if i%2 == 0 {
			first, second = padded, otp
		}
		if !s.Verify(first) || s.Verify(second) {
			t.Fatalf("%q, then %q: not accepted exactly once", first, second)
		}
	}
	if short < 20 {
		t.Errorf("%d of 200 passwords are short", short)
	}
}

func TestAuthenticateExtendedRefuses(t *testing.T) {
	s := started(t, Options{CheckUsers: true, Accounts: []Account{
		{Login: "me", Codes: []Code{{Value: DefaultCode}}}, {Login: "idle"}, {Login: "other", Codes: []Code{{Value: "222222"}}},
	}})
	c := enrolled(t, s)
	if err := newClient(t, s).activate("222222"); err != nil {
		t.Fatal(err)
	}
	otp, err := c.otp()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change url.Values
		want   string
	}{
		{"user", url.Values{"userId": {"you"}}, "NOK:account unknown"},
		{"user without a device", url.Values{"userId": {"idle"}}, "NOK:NOLOGIN"},
		{"another user", url.Values{"userId": {"other"}}, "NOK:no device found"},
		{"random", url.Values{"token": {"abcdefgh"}}, "NOK:no device found"},
		{"upper case", url.Values{"token": {strings.ToUpper(otp) + "B"}}, "NOK:no device found"},
		{"action", url.Values{"action": {"authenticate"}}, "NOK"},
		{"no token", url.Values{"token": nil}, "NOK"},
		{"two tokens", url.Values{"token": {otp, otp}}, "NOK"},
		{"the user", nil, "OK"},
	} {
		change := url.Values{"token": {otp}}
		maps.Copy(change, c.change)
		if r := relyingParty(t, s, change); r.one("err") != c.want {
			t.Errorf("%s: %v, want %s", c.name, r, c.want)
		}
	}
	if err := s.Forget(c.id); err != nil {
		t.Fatal(err)
	}
	if v := s.Authenticate("me", otp); v.Err != "NOK:NOLOGIN" {
		t.Errorf("after the device is forgotten: %+v", v)
	}
}

// TestIssuedOTPsExpire keeps passwords for their life and no longer, equal texts apart.
func TestIssuedOTPsExpire(t *testing.T) {
	l, life := newIssuedOTPs(), 30*time.Second
	start := newClock().Now()
	one, two := &device{}, &device{}
	for i, d := range []*device{one, two, one} {
		l.issue(&password{text: "same", device: d, issued: start.Add(time.Duration(i) * time.Second)}, life)
	}
	is := func(wanted *device) func(*device) bool { return func(d *device) bool { return d == wanted } }
	if l.spend("same", start, life, is(two)) == nil || l.spend("same", start, life, is(two)) != nil {
		t.Error("the other device's password is not spent exactly once")
	}
	late := start.Add(31 * time.Second)
	if l.spend("same", late, life, is(one)) == nil || l.spend("same", late, life, is(one)) != nil {
		t.Error("of two equal passwords of a device not exactly the younger is alive")
	}
	l.issue(&password{text: "other", device: one, issued: start.Add(time.Hour)}, life)
	if len(l.queue) != 1 || len(l.byText) != 1 {
		t.Errorf("%d passwords and %d texts are kept", len(l.queue), len(l.byText))
	}
}
