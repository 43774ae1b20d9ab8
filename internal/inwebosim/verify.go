package inwebosim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Verification is the answer of authenticateExtended (section 8). Err is OK or the reason; the rest is
// empty unless it is OK.
type Verification struct {
	Err       string `json:"err"`
	Name      string `json:"name,omitempty"`
	Alias     string `json:"alias,omitempty"` // here the device's id
	Version   string `json:"version,omitempty"`
	Platform  string `json:"platform,omitempty"`
	Type      string `json:"type,omitempty"`
	Timestamp string `json:"timestamp,omitempty"`
}

// The err texts of section 8.
const (
	errNoDeviceFound  = "NOK:no device found"
	errNoLogin        = "NOK:NOLOGIN"
	errAccountUnknown = "NOK:account unknown"
	errPlain          = "NOK"
)

// Verify spends a password as a relying party would, of any device; false when it was never issued, has
// expired or is spent.
func (s *Simulator) Verify(otp string) bool {
	return s.spend(otp, func(*device) bool { return true }).Err == errOK
}

// Authenticate is authenticateExtended as GET /FS answers it.
func (s *Simulator) Authenticate(userID, token string) Verification {
	if !s.options.CheckUsers {
		return s.spend(token, func(*device) bool { return true })
	}
	switch exists, hasDevice := s.registry.user(userID); {
	case !exists:
		return Verification{Err: errAccountUnknown}
	case !hasDevice:
		return Verification{Err: errNoLogin}
	}
	return s.spend(token, func(d *device) bool { return d.login == userID })
}

func (s *Simulator) spend(token string, wanted func(*device) bool) Verification {
	now := s.now()
	spent := s.issuedOTPs.spend(token, now, time.Duration(s.knobs.Load().OTPLife), wanted)
	if spent == nil {
		return Verification{Err: errNoDeviceFound}
	}
	d := spent.device
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counters.Verified++
	return Verification{
		Err: errOK, Name: d.name, Alias: d.id, Version: "0.2.11", Platform: "android", Type: "mac",
		Timestamp: now.UTC().Format(time.DateTime),
	}
}

// serveFS answers GET /FS.
func (s *Simulator) serveFS(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Query()
	x := s.newExchange(r, p)
	s.history.begin(x)
	v := Verification{Err: errPlain}
	if isVerification(p) {
		v = s.Authenticate(p.Get("userId"), p.Get("token"))
	}
	s.history.finish(x, v.Err, true, true)
	if p.Get("format") == "json" {
		body, err := json.Marshal(v)
		if err != nil {
			panic(err) // a struct of texts
		}
		send(w, "application/json;charset=UTF-8", body)
		return
	}
	send(w, contentTypeXML, v.answer().document())
}

// isVerification reports whether a request is authenticateExtended, whole and in a format that it has.
func isVerification(p url.Values) bool {
	for _, name := range []string{"action", "serviceId", "userId", "token"} {
		if len(p[name]) != 1 || p.Get(name) == "" {
			return false
		}
	}
	format := p.Get("format")
	return p.Get("action") == "authenticateExtended" && (format == "" || format == "xml" || format == "json")
}

func (v Verification) answer() answer {
	ans := refuse("authenticateExtended", v.Err)
	if v.Err == errOK {
		ans.fields = append(ans.fields, Field{"name", v.Name}, Field{"alias", v.Alias}, Field{"version", v.Version},
			Field{"platform", v.Platform}, Field{"type", v.Type}, Field{"timestamp", v.Timestamp})
	}
	return ans
}
