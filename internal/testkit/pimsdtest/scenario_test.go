package pimsdtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// scenario is one run of a daemon at debug level in which nearly every fault occurs, and of which every secret is known.
type scenario struct {
	daemon  *pimsdtest.Daemon
	account *pimsdtest.Account
	secrets canaries
	refused string // all answers without an OTP, which one must carry
	traces  *collected

	transcript string // the file with the shapes of its exchanges
}

// runScenario runs it.
func runScenario(t *testing.T, change ...func(*pimsdtest.Setup)) scenario {
	t.Helper()
	const pin, wrong = "80517263", "90617253"
	traces, tokens := collect(t), newIssuer(t)
	transcript := filepath.Join(t.TempDir(), "transcript")
	d := pimsdtest.Start(t, append(change, func(s *pimsdtest.Setup) {
		s.Config.JWT.Issuers = append(s.Config.JWT.Issuers, tokens.Issuer)
		s.Config.Traces.OTLPURL = traces.url + "/v1/traces"
		s.Config.Inwebo.TranscriptFile = transcript
		s.Inwebo.Knobs.Ratchet, s.Inwebo.Knobs.SecondRound = inwebosim.RatchetK0K1dK1, inwebosim.SecondRoundEveryOther
		s.Inwebo.Knobs.LostFinalize, s.Inwebo.Knobs.WrongLimit = inwebosim.LostFinalizeLenient, 0
	})...)
	a := d.Enroll("alice of the canaries", pin)
	secrets, refused := canaries{}, &strings.Builder{}
	secrets.add("the PIN", pin)
	secrets.add("a wrong PIN", wrong)
	secrets.add("the SMS code", a.SMSCode)
	secrets.add("the API key", a.Key)
	secrets.addSealingKey(t, sealingLine(t, d.Config))
	note := func(got pimsdtest.Answer) {
		secrets.add("an OTP", got.OTP)
		secrets.watch(a)
		if got.OTP == "" {
			fmt.Fprintln(refused, got.Status, got.Header, got.Body)
		}
	}
	for life, want := range map[time.Duration]int{time.Hour: http.StatusOK, -time.Hour: http.StatusUnauthorized} {
		token := tokens.token(a.Name, life)
		for part := range strings.SplitSeq(token, ".") {
			secrets.add("a token", part)
		}
		got := d.Ask(token, pimsdtest.WithPIN(pin))
		if note(got); got.Status != want {
			t.Errorf("a token: %s", got.Body)
		}
		note(d.Ask(token[:len(token)-2], pimsdtest.WithPIN(pin)))
	}
	everythingGoesWrong(t, a, wrong, note)
	secrets.add("the API key", a.Key) // the second one
	return scenario{d, a, secrets, refused.String(), traces, transcript}
}

// everythingGoesWrong asks and asks, and notes every answer.
func everythingGoesWrong(t *testing.T, a *pimsdtest.Account, wrong string, note func(pimsdtest.Answer)) {
	t.Helper()
	for i := range 4 {
		note(a.Repeatable(fmt.Sprint("key ", i), a.PIN)) // whose answers are kept
		note(a.Repeatable(fmt.Sprint("key ", i), a.PIN))
	}
	note(a.OTP(wrong))
	faults := []inwebosim.Fault{{Kind: inwebosim.KindForm, Form: "doctype"}, {Kind: inwebosim.KindForm, Form: "K1-different"}}
	for _, kind := range []inwebosim.Kind{
		inwebosim.KindLostAnswer, inwebosim.KindCut, inwebosim.KindTruncated, inwebosim.KindOtherRoot, inwebosim.KindHTML,
		inwebosim.KindEmpty, inwebosim.KindErr, inwebosim.KindExtra, inwebosim.KindStatus,
	} {
		faults = append(faults, inwebosim.Fault{
			Kind: kind, Err: "NOK:" + a.SMSCode, Bytes: -9,
			Status: http.StatusFound, Location: a.Daemon.Inwebo.ProtocolURL() + "/iwws/MAC?code=" + a.SMSCode,
		})
	}
	for _, fault := range faults {
		for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
			fault.Match = inwebosim.Match{Action: action}
			a.Plant(fault)
			note(a.OTP(a.PIN))
			note(a.OTP(a.PIN))
		}
	}
	a.Key = a.Daemon.Key(a.Name, "otp", "enroll", "unlock")
	for _, mode := range []string{"activate", "ms"} {
		for _, kind := range []inwebosim.Kind{inwebosim.KindLostAnswer, inwebosim.KindTruncated, inwebosim.KindErr} {
			for _, action := range []string{pimsdtest.ActionSetup, pimsdtest.ActionFinalize} {
				plant(t, a.Daemon, inwebosim.Fault{
					Kind: kind, Match: inwebosim.Match{Action: action, Mode: mode}, Err: "NOK:" + a.SMSCode, Bytes: -9, Times: 1,
				})
				newCode(t, a)
				note(check(a))
				note(enroll(a, "?replace=true"))
				note(enroll(a, "?replace="+a.PIN))
				a.Daemon.Inwebo.ClearFaults()
			}
		}
	}
	newCode(t, a)
	note(enroll(a, "?replace=true"))
	note(status(a))
	for _, c := range inputCauses() {
		note(a.Daemon.Ask(a.Key, strings.ReplaceAll(c.body, "1234", a.PIN)))
	}
	for _, req := range strays(a) {
		req.URL.Path += "/" + a.PIN
		req.URL.RawQuery = "key=" + a.Key
		note(a.Daemon.Do(req))
	}
	note(a.Daemon.Ask(a.Key+"a", pimsdtest.WithPIN(a.PIN)))
	for _, where := range []string{"http://127.0.0.1:1", "https" + a.Daemon.Inwebo.ProtocolURL()[len("http"):], echo(t, a.Daemon.Inwebo.Handler())} {
		elsewhere(func(*testing.T, *pimsdtest.Account) string { return where })(t, a)
		note(a.OTP(a.PIN))
	}
}

// echo is the URL of inWebo behind something that answers a finalize with the request line, which is no HTTP.
func echo(t *testing.T, inwebo http.Handler) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("action") != pimsdtest.ActionFinalize {
			inwebo.ServeHTTP(w, r)
			return
		}
		inwebo.ServeHTTP(httptest.NewRecorder(), r) // so that inWebo has heard the secrets
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte(r.RequestURI + "\r\n"))
		_ = conn.Close()
	}))
	t.Cleanup(server.Close)
	return server.URL
}
