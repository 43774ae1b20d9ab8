package pimsdtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// forged is what somebody would like to see in the log.
const forged = `{"time":"2026-01-01T00:00:00.000Z","level":"info","message":"request","caller":"key:forged"}`

// Whatever a request has in it, the log has one line for it, which is JSON, and none of its own making.
func TestNobodyWritesLinesIntoTheLog(t *testing.T) {
	t.Parallel()
	a := enrolled(t, func(s *pimsdtest.Setup) {
		s.Config.HTTP.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	address := strings.TrimPrefix(a.Daemon.URL(""), "http://")
	body := `{"action":"withPIN","pinCode":"1234"}`
	const post, authorized = "POST /v1/authentication/otp HTTP/1.1\r\n", "Authorization: Bearer "
	answered := 0
	for _, head := range []string{
		"GET /%0a" + strings.ReplaceAll(forged, " ", "%20") + " HTTP/1.1\r\n",
		"GET /" + forged + " HTTP/1.1\r\n",
		"FORGED\x0b /v1 HTTP/1.1\r\n",
		"F{}\"OR: / HTTP/1.1\r\n",
		post + "X-Forwarded-For: 192.0.2.1\x0b\n" + forged + "\r\n",
		post + "X-Forwarded-For: " + forged + "\r\n",
		post + "X-Forwarded-For: fe80::1%forged\r\n",
		post + authorized + forged + "\r\n",
		post + authorized + a.Key + "\r\nX-Pims-Account: " + forged + "\r\n",
		post + authorized + a.Key + "\r\nX-Pims-Account: alice\u2028" + forged + "\r\n",
		post + authorized + a.Key + "\r\nContent-Type: application/json; x=\"" + forged + "\r\n",
		post + authorized + a.Key + "\r\nUser-Agent: " + forged + "\r\nIdempotency-Key: " + forged + "\r\nContent-Type: application/json\r\n",
		post + authorized + a.Key + "\r\nTraceparent: " + forged + "\r\nContent-Type: application/json\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "%sHost: pimsd\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if strings.Contains(string(answer), "X-Request-Id") { // net/http answers by itself what is no HTTP
			answered++
		}
		if strings.Contains(string(answer), "forged") {
			t.Errorf("%q: the answer repeats it: %s", head, answer)
		}
	}
	if lines := len(requestLines(t, a.Daemon)); lines != answered || answered < 8 {
		t.Errorf("%d lines for %d requests", lines, answered)
	}
	// The account that a known caller asks for is named, as the value of one field.
	for line := range strings.Lines(a.Daemon.Log()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("a line is not JSON: %v", err)
		}
		if fields["account"] == forged {
			delete(fields, "account")
		}
		if rest := fmt.Sprint(fields); strings.Contains(rest, "forged") {
			t.Errorf("what strangers wrote is in the log: %s", rest)
		}
	}
}
