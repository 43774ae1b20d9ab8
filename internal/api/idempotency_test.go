package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const maxKey = 255

func TestRepeatKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header []string
		want   string
		bad    bool
	}{
		{header: nil},
		{header: []string{"8e03978e-40d5-43e8-bc93-6894a57f9324"}, want: "8e03978e-40d5-43e8-bc93-6894a57f9324"},
		{header: []string{`"8e03978e-40d5-43e8-bc93-6894a57f9324"`}, want: "8e03978e-40d5-43e8-bc93-6894a57f9324"},
		{header: []string{`"with \"quotes\" and \\"`}, want: `with "quotes" and \`},
		{header: []string{`a "quoted" one`}, want: `a "quoted" one`},
		{header: []string{strings.Repeat("k", maxKey)}, want: strings.Repeat("k", maxKey)},
		{header: []string{`"` + strings.Repeat(`\"`, maxKey) + `"`}, want: strings.Repeat(`"`, maxKey)},
		{header: []string{strings.Repeat("k", maxKey+1)}, bad: true},
		{header: []string{`"` + strings.Repeat("k", maxKey+1) + `"`}, bad: true},
		{header: []string{""}, bad: true},
		{header: []string{`""`}, bad: true},
		{header: []string{`"`}, bad: true},
		{header: []string{`"open`}, bad: true},
		{header: []string{`"closed" and more`}, bad: true},
		{header: []string{`"bad \escape"`}, bad: true},
		{header: []string{`"ends in \`}, bad: true},
		{header: []string{"a\tb"}, bad: true},
		{header: []string{"clé"}, bad: true},
		{header: []string{"a", "a"}, bad: true},
	} {
		got, err := api.ParseIdempotencyKey(tt.header)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%q: %q, %v", tt.header, got, err)
		}
	}
}

// A key that is taken is 1 to 255 printable characters, and quoted it is the same.
func FuzzRepeatKey(f *testing.F) {
	for _, seed := range []string{"bare", `"quoted"`, `"\"\\"`, `"\`, "", `a"b`, "\x7f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := api.ParseIdempotencyKey([]string{text})
		if err != nil {
			if key != "" {
				t.Fatalf("%q is refused, and gives %q", text, key)
			}
			return
		}
		if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q gives %q", text, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, err := api.ParseIdempotencyKey([]string{quoted}); err != nil || again != key {
			t.Fatalf("%q gives %q, and %q gives %q, %v", text, key, quoted, again, err)
		}
	})
}

// A call has a key of its own for each caller, account and text; and only when it is asked for.
func TestTheKeyNamesTheCall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	keys := map[string]string{}
	for name, header := range map[string]string{
		"alice's":                "Idempotency-Key: one",
		"another of alice's":     "Idempotency-Key: two",
		"the fleet's":            "Authorization: Bearer " + fleet + "\nX-Pims-Account: fleet-1\nIdempotency-Key: one",
		"the fleet's of another": "Authorization: Bearer " + fleet + "\nX-Pims-Account: fleet-2\nIdempotency-Key: one",
	} {
		b.send(t, request{body: aBody, header: header})
		b.journal.last(t)
		ask := b.domain.asked[len(b.domain.asked)-1]
		named := string(ask.Account) + ask.Idempotency.Key
		if other, taken := keys[named]; taken || len(ask.Idempotency.Key) != 64 {
			t.Errorf("%s key is %q, as is %q", name, ask.Idempotency.Key, other)
		}
		keys[named] = name
	}
	b.send(t, request{body: aBody})
	b.journal.last(t)
	if ask := b.domain.asked[len(b.domain.asked)-1]; ask.Idempotency != nil {
		t.Error("a call without a key can be repeated")
	}
	got := b.send(t, request{body: aBody, header: "Idempotency-Key: \"open"})
	got.is(t, 400, 2102, "Invalid Idempotency-Key parameter")
	b.journal.last(t)
}

// TestRepeatsAreComparedByMeaning: however a body is written, the same request is the same, and another one is not.
func TestRepeatsAreComparedByMeaning(t *testing.T) {
	t.Parallel()
	var fingerprinted []string
	b := newBench(t, func(c *api.Config) {
		plain := c.Fingerprints
		c.Fingerprints = func(account otp.Account, key string, request secret.Bytes) otp.Fingerprinted {
			fingerprinted = append(fingerprinted, string(request.Reveal()))
			return plain(account, key, request)
		}
	})
	send := func(body string) string {
		t.Helper()
		if got := b.send(t, request{body: body, header: "Idempotency-Key: one"}); got.status != 200 {
			t.Fatalf("%s: %d %s", body, got.status, got.body)
		}
		return fingerprinted[len(fingerprinted)-1]
	}
	first := send(aBody)
	for _, same := range []string{
		aBody + "\n",
		`{"pinCode":"0987","action":"withPIN"}`,
		" {\r\n\t\"action\" : \"withPIN\" , \"pinCode\" : \"0987\" } ",
		`{"\u0061ction":"withPIN","pinCode":"\u00309\u00387"}`,
	} {
		if send(same) != first {
			t.Errorf("%s is another request", same)
		}
	}
	if send(`{"action":"withPIN","pinCode":"9870"}`) == first || send(`{"action":"withPIN","pinCode":"09870"}`) == first {
		t.Error("another PIN is the same request")
	}
}

// What was kept is answered byte for byte, with the status that it had.
func TestAKeptAnswerIsAnswered(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"an OTP": nil, "a refusal": otp.ErrPINRefused, "2316": otp.ErrNotStored} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.domain.issue = func(context.Context) (otp.Issued, error) {
				return otp.Issued{OTP: secret.NewText(anOTP)}, outcome
			}
			keyed := request{body: aBody, header: "Idempotency-Key: one"}
			first := b.send(t, keyed)
			answered := b.journal.last(t)
			stored := b.domain.asked[0].Idempotency.Answer(secret.NewText(anOTP), outcome)
			b.domain.issue = func(context.Context) (otp.Issued, error) { return otp.Issued{StoredResponse: stored}, nil }
			again := b.send(t, keyed)
			e := b.journal.last(t)
			if again.body != first.body || again.status != first.status || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("first %d %s, then %d %s %v", first.status, first.body, again.status, again.body, again.header)
			}
			if first.header.Get("Idempotent-Replayed") != "" || again.header.Get("X-Request-Id") == first.header.Get("X-Request-Id") {
				t.Errorf("the header of the first is %v", first.header)
			}
			if !e.Repeated || e.Code != answered.Code || e.Status != answered.Status || answered.Repeated {
				t.Errorf("the events are %+v and %+v", answered, e)
			}
		})
	}
}

// What cannot be read again is nothing to answer with, and none of it is told.
func TestAKeptAnswerThatIsDamaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.domain.issue = func(context.Context) (otp.Issued, error) {
		return otp.Issued{StoredResponse: secret.NewBytes([]byte(anOTP))}, nil
	}
	b.send(t, request{body: aBody, header: "Idempotency-Key: one"}).is(t, 500, 2000, "Unknown error")
	if e := b.journal.last(t); strings.Contains(e.Err.Error(), anOTP[1:]) {
		t.Errorf("the log would say %v", e.Err)
	}
	var syntax *json.SyntaxError
	if _, err := api.ReadStoredReply(secret.NewBytes([]byte("{"))); err == nil || errors.As(err, &syntax) {
		t.Errorf("%v", err)
	}
}
