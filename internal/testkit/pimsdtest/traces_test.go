package pimsdtest_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// collected is a collector of traces, and what it was sent.
type collected struct {
	mu    sync.Mutex
	url   string
	spans []*trace.Span
	texts strings.Builder // all of it, as text
}

func collect(t *testing.T) *collected {
	t.Helper()
	c := &collected{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("the collector is sent %s, %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.texts.WriteString(sent.String())
		for _, resource := range sent.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// tree draws the spans of a trace as lines, children in the order of their beginnings below their parents.
func (c *collected) tree(id string) (lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.spans, func(a, b *trace.Span) int {
		return int(int64(a.GetStartTimeUnixNano()) - int64(b.GetStartTimeUnixNano()))
	})
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, span := range c.spans {
			if hex.EncodeToString(span.GetTraceId()) == id && hex.EncodeToString(span.GetParentSpanId()) == parent {
				line := indent + span.GetName()
				if span.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR {
					line += ": " + span.GetStatus().GetMessage()
				}
				lines = append(lines, line)
				below(hex.EncodeToString(span.GetSpanId()), indent+" ")
			}
		}
	}
	below("00f067aa0ba902b7", "")
	return lines
}

// askWithin makes the main call as part of a caller's trace.
func askWithin(t *testing.T, a *pimsdtest.Account, pin, traceparent string) pimsdtest.Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.Daemon.URL("/v1/authentication/otp"), strings.NewReader(pimsdtest.WithPIN(pin)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.Key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", traceparent)
	return a.Daemon.Do(req)
}

// A caller's trace goes on in pimsd, down to each exchange and each write; the log names it, and no secret is in it.
func TestTracesGoOn(t *testing.T) {
	t.Parallel()
	to := collect(t)
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.Traces.OTLPURL = to.url + "/v1/traces" })
	a := d.Enroll("alice of the traces", "80517263")
	secrets := canaries{}
	secrets.watch(a)
	const good, refused, quiet = "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737", "4bf92f3577b34da6a3ce929d0e0e4738"
	within := func(id, sampled, pin string) pimsdtest.Answer {
		return askWithin(t, a, pin, fmt.Sprintf("00-%s-00f067aa0ba902b7-%s", id, sampled))
	}
	otp := within(good, "01", "80517263")
	wrong := within(refused, "01", "90617253")
	within(quiet, "00", "80517263")
	plain := a.OTP("80517263")
	secrets.watch(a)
	secrets.add("an OTP", otp.OTP)
	secrets.add("an OTP", plain.OTP)
	secrets.add("the PIN", "80517263")
	secrets.add("a wrong PIN", "90617253")
	secrets.add("the API key", a.Key)
	secrets.add("the account", a.Name)
	d.Stop() // which sends the last spans

	want := []string{"request", " lease", " inwebo otp_setup", " inwebo otp_finalize", " settle"}
	if got := to.tree(good); !slices.Equal(got, want) {
		t.Errorf("the trace of an OTP is %q", got)
	}
	want = []string{"request: 2308", " lease", " inwebo otp_setup", " inwebo otp_finalize: otp_finalize: inWebo refused: ACCESS", " settle"}
	if got := to.tree(refused); !slices.Equal(got, want) {
		t.Errorf("the trace of a refusal is %q", got)
	}
	if got := to.tree(quiet); got != nil {
		t.Errorf("a caller who does not trace is traced: %q", got)
	}
	if len(to.spans) != 3*5 {
		t.Errorf("there are %d spans", len(to.spans))
	}
	secrets.escaped(t, "the traces", to.texts.String(), otp.Header.Get("X-Request-Id"))
	for answer, id := range map[*pimsdtest.Answer]string{&otp: good, &wrong: refused} {
		if line := logLine(t, d.Log(), answer.Header.Get("X-Request-Id")); line["trace"] != id {
			t.Errorf("the log line has the trace %v, want %s", line["trace"], id)
		}
	}
}

func logLine(t *testing.T, log, transaction string) (line map[string]any) {
	t.Helper()
	for text := range strings.Lines(log) {
		if strings.Contains(text, transaction) && strings.Contains(text, `"message":"request"`) {
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Error(err)
			}
		}
	}
	return line
}

// Who gets the traces may be away: that costs a line in the log, and no OTP.
func TestACollectorThatIsAway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.Traces.OTLPURL = gone.URL + "/v1/traces" })
	a := d.Enroll("alice", "1234")
	if got := a.OTP("1234"); !a.Verify(got.OTP) {
		t.Errorf("%+v", got)
	}
	d.Stop()
	if !strings.Contains(d.Log(), "traces could not be sent") {
		t.Error("the log says nothing")
	}
}
