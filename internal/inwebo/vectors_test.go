package inwebo_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// vector is one recorded device: whole exchanges of a public client, and what it knew after each.
type vector struct {
	MacID, SMSCode, PIN, DeviceID, Alea, MSSecret string
	Activation                                    step
	OTPs                                          []step
}

type step struct {
	Exchanges []exchange
	State     struct{ ID, LastSync, SID, K0, K1, Secval string }
	OTP       string
}

type exchange struct {
	Request  map[string]string
	Response string
}

func readVectors(t testing.TB) map[string]vector {
	t.Helper()
	files, err := filepath.Glob("ratchet/testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors to replay: %v", err)
	}
	vectors := make(map[string]vector)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors[filepath.Base(file)] = v
	}
	return vectors
}

// exchanges are all of them, in the order of the recording.
func (v vector) exchanges() []exchange {
	all := v.Activation.Exchanges
	for _, otp := range v.OTPs {
		all = append(all, otp.Exchanges...)
	}
	return all
}

func TestVectorsReplayOverHTTP(t *testing.T) {
	for name, v := range readVectors(t) {
		t.Run(name, func(t *testing.T) {
			recorded := &recording{t: t, left: v.exchanges()}
			server := httptest.NewServer(recorded)
			t.Cleanup(server.Close)
			config := target(t, server.URL)
			config.Path, config.MacID = "/iwws/MAC", v.MacID
			config.Version, config.Language = v.Activation.Exchanges[1].Request["version"], v.Activation.Exchanges[1].Request["lang"]
			config.DeviceName, config.UserAgent = v.Activation.Exchanges[1].Request["name"], "Dalvik/2.1.0 (Linux)"
			d := newDevice(t, newClient(t, config).Client, v)
			d.activate(v.SMSCode)
			d.assertState(v.Activation)
			for _, otp := range v.OTPs {
				if got := d.issue(); got != otp.OTP {
					t.Errorf("OTP %q, want %q", got, otp.OTP)
				}
				d.assertState(otp)
			}
			if len(recorded.left) > 0 {
				t.Errorf("%d recorded exchanges were not made", len(recorded.left))
			}
		})
	}
}

// recording answers as recorded, and holds each request against the recorded one.
type recording struct {
	t    *testing.T
	left []exchange
}

func (r *recording) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if len(r.left) == 0 {
		r.t.Error("a request more than was recorded")
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	next := r.left[0]
	r.left = r.left[1:]
	r.assertBare(request)
	r.assertParameters(request.URL.RawQuery, next.Request)
	_, _ = io.WriteString(w, next.Response)
}

// assertBare holds the request against docs/protocol.md §1: a GET, two headers, no body.
func (r *recording) assertBare(request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if request.Method != http.MethodGet || request.URL.Path != "/iwws/MAC" || request.Proto != "HTTP/1.1" || err != nil || len(body) > 0 {
		r.t.Errorf("%s %s %s with %d bytes, %v", request.Method, request.URL.Path, request.Proto, len(body), err)
	}
	if request.ContentLength != 0 || len(request.TransferEncoding) > 0 {
		r.t.Errorf("the request announces a body: %d %v", request.ContentLength, request.TransferEncoding)
	}
	want := http.Header{"User-Agent": {"Dalvik/2.1.0 (Linux)"}, "Connection": {"Keep-Alive"}}
	if !maps.EqualFunc(request.Header, want, func(a, b []string) bool { return len(a) == 1 && a[0] == b[0] }) {
		r.t.Errorf("headers %v, want %v", request.Header, want)
	}
}

// assertParameters wants the recorded set and values; a ciphertext has randomness in it and is known by its length only.
func (r *recording) assertParameters(rawQuery string, want map[string]string) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		r.t.Error(err)
	}
	got := make(map[string]string)
	for name, values := range query {
		if got[name] = values[0]; len(values) != 1 {
			r.t.Errorf("%s stands %d times", name, len(values))
		}
	}
	for _, name := range []string{"Kma", "pin", "ms_val0"} {
		if _, recorded := want[name]; !recorded {
			continue
		}
		if text, err := hex.DecodeString(got[name]); err != nil || len(text) != 128 || got[name] == want[name] {
			r.t.Errorf("%s is no fresh ciphertext of 128 bytes: %q", name, got[name])
		}
		got[name] = want[name]
	}
	if !maps.Equal(got, want) {
		r.t.Errorf("%s %s: parameters\n %v, want\n %v", want["action"], want["mode"], got, want)
	}
}

var _ http.Handler = (*recording)(nil)

// newIdentity is what an answer leaves of the identity before it.
func newIdentity(before inwebo.Identity, sync inwebo.Sync) inwebo.Identity {
	if sync.ID != "" {
		before.ID = sync.ID
	}
	if sync.LastSync != "" {
		before.LastSync = sync.LastSync
	}
	return before
}
