package inwebosim

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// openConn is a connection to the simulator on which a test sends requests one after another.
type openConn struct {
	net.Conn
	buffered *bufio.Reader
}

func dial(t *testing.T, s *Simulator) openConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.ProtocolURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return openConn{conn, bufio.NewReader(conn)}
}

// get sends a request and returns the body of the next answer on the connection, as far as it comes.
func (c openConn) get(t *testing.T, params url.Values) string {
	t.Helper()
	if _, err := io.WriteString(c, "GET /iwws/MAC?"+params.Encode()+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(c.buffered, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return string(body) + err.Error()
	}
	return string(body)
}

// TestSurplusIsReadByTheNextRequest: a client that uses the connection again gets the answer that it did not ask for.
func TestSurplusIsReadByTheNextRequest(t *testing.T) {
	for _, n := range []Fault{{Form: "http-surplus"}, {Form: "http-surplus", Interval: 1}, {Form: "http-surplus-after-chunks"}} {
		t.Run(string(n.Form), func(t *testing.T) {
			s := with(t, func(*Knobs) {})
			c := enrolled(t, s)
			n.Kind = KindForm
			if err := s.Plant(n); err != nil {
				t.Fatal(err)
			}
			conn := dial(t, s)
			if got := conn.get(t, c.setupParams()); !strings.Contains(got, "<err>OK</err>") {
				t.Fatalf("the answer: %s", got)
			}
			if got := conn.get(t, c.setupParams()); got != "<ActionSetup><err>NOK:NODEVICE</err></ActionSetup>" {
				t.Errorf("the next answer: %s", got)
			}
			if got := expectedState(t, s, c).Setups; got != 1 {
				t.Errorf("%d setups were processed", got)
			}
		})
	}
}

// TestWholeAnswersKeepTheConnection: forms that end well leave a connection that can be used again.
func TestWholeAnswersKeepTheConnection(t *testing.T) {
	for _, name := range []Form{"http-gzip", "http-status-203", "http-content-type-none", "http-chunks-tiny", "encoding-utf-16-le"} {
		t.Run(string(name), func(t *testing.T) {
			s := with(t, func(*Knobs) {})
			c := enrolled(t, s)
			if err := s.Plant(Fault{Kind: KindForm, Form: name}); err != nil {
				t.Fatal(err)
			}
			conn := dial(t, s)
			conn.get(t, c.setupParams())
			if got := conn.get(t, c.setupParams()); !strings.Contains(got, "<err>OK</err>") {
				t.Errorf("the next answer: %s", got)
			}
		})
	}
}

// TestLateLastChunk: the document is there at once, the end of the HTTP answer after the interval.
func TestLateLastChunk(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	if err := s.Plant(Fault{Kind: KindForm, Form: "http-last-chunk-late", Interval: 1}); err != nil {
		t.Fatal(err)
	}
	if got := dial(t, s).get(t, c.setupParams()); !strings.HasSuffix(got, "</ActionSetup>") {
		t.Errorf("the answer: %s", got)
	}
}

// TestStopEndsOpenConnections: connections that a form keeps open do not hold the simulator up.
func TestStopEndsOpenConnections(t *testing.T) {
	for _, name := range []Form{"http-length-missing-open", "http-length-too-long-open", "http-surplus", "http-last-chunk-late"} {
		t.Run(string(name), func(t *testing.T) {
			s := started(t, Options{})
			plant(t, s, Fault{Kind: KindForm, Form: name})
			conn := dial(t, s)
			if _, err := io.WriteString(conn, "GET /iwws/MAC?action=ActionSetup&mode=otp HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			for line := ""; !strings.Contains(line, "</Action"); {
				part, err := conn.buffered.ReadString('>')
				if err != nil {
					t.Fatal(err)
				}
				line = part
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := s.Stop(ctx); err != nil {
				t.Errorf("Stop: %v", err)
			}
		})
	}
}

// TestResetOverTLS: a reset closes the connection below TLS, which says no goodbye.
func TestResetOverTLS(t *testing.T) {
	s := started(t, Options{})
	plant(t, s, Fault{Kind: KindForm, Form: "http-cut-reset"})
	server := httptest.NewTLSServer(s.Handler())
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/iwws/MAC?action=ActionSetup&mode=otp")
	if err != nil {
		if !isCutOff(err, "EOF") {
			t.Fatal(err)
		}
		return
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); !isCutOff(err, "EOF") {
		t.Errorf("the answer ended with %v", err)
	}
}
