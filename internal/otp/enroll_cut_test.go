package otp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// A cutter stands between a client and the simulator. Its connections serve one request each.
type cutter struct {
	sim   *inwebosim.Simulator
	match inwebosim.Match // the request whose answer is cut
	at    int             // after how many bytes

	whole atomic.Pointer[string] // the answer that was cut
}

// serve starts the cutter and returns its address.
func (c *cutter) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.answer(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

// answer passes one request on. An answer that is not cut says that its connection is closed.
func (c *cutter) answer(conn net.Conn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	response, err := http.Get(c.sim.ProtocolURL() + r.URL.RequestURI())
	if err != nil {
		return
	}
	defer response.Body.Close()
	document, err := io.ReadAll(response.Body)
	if err != nil {
		return
	}
	if query := r.URL.Query(); query.Get("action") != c.match.Action || query.Get("mode") != c.match.Mode {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n"+string(document))
		return
	}
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(document), document)
	c.whole.Store(&whole)
	_, _ = io.WriteString(conn, whole[:min(c.at, len(whole))])
}

// An enrollment whose answer is cut, after any byte of either finalize, is done if the root has ended, and otherwise loses nothing: the
// caller is told, what arrived behind the start of the root is kept, an old device stays, and the account can be enrolled again. How an
// answer says where it ends makes no difference: TestCutAnswers of inwebo.
func TestEnrollmentsCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, at := range []stage{activateFinalize, msFinalize} {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/replace %v", at.exchange, replace), func(t *testing.T) {
				t.Parallel()
				for n, length := 0, 1; n <= length; {
					c := &cutter{match: at.match, at: n}
					c.testEnrollment(t, replace)
					n, length = c.next(), len(*c.whole.Load())
				}
			})
		}
	}
}

// next returns the point after c.at at which an answer is cut: after every byte near the ends of its root, and otherwise a little apart.
func (c *cutter) next() int {
	const apart, near = 37, 3
	whole := *c.whole.Load()
	next := c.at + apart
	for _, end := range []int{strings.Index(whole, "<ActionFinalize>") + len("<ActionFinalize>"), strings.LastIndex(whole, ">") + 1, len(whole)} {
		if c.at < end+near {
			next = min(next, max(c.at+1, end-near))
		}
	}
	return next
}

// testEnrollment enrolls an account whose answer is cut, and again.
func (c *cutter) testEnrollment(t *testing.T, replace bool) {
	t.Helper()
	e := newEnrollee(t, func(k *inwebosim.Knobs) { k.SecretsMove = true })
	if replace {
		e.mustEnroll(t, otp.EnrollRequest{})
	}
	c.sim = e.sim
	service := otp.New(e.memory, wire(t, c.serve(t), time.Minute), generous(), nil)
	_, err := service.Enroll(t.Context(), e.request(), otp.EnrollRequest{SMSCode: smsCode, PIN: rightPIN, Replace: replace})
	drained(t, service)

	arrived := (*c.whole.Load())[:min(c.at, len(*c.whole.Load()))]
	defer func() {
		if t.Failed() {
			t.Fatalf("cut after %d bytes: %q", c.at, arrived)
		}
	}()
	ended, begun := strings.Contains(arrived, "</ActionFinalize>"), strings.Contains(arrived, "<ActionFinalize>")
	r := e.record(t)
	switch cause := otp.CauseOf(err); {
	case ended != (err == nil):
		t.Errorf("told %v", err)
	case begun && !ended && cause != otp.ErrUnreadable:
		t.Errorf("told %v when a part of the document has arrived", err)
	case !begun && cause != otp.ErrActivationLost && cause != otp.ErrNotInwebo && cause != otp.ErrUnreadable:
		t.Errorf("told %v when nothing of the document has arrived", err)
	case (len(r.Unread) > 0) != errors.Is(err, otp.ErrUnreadable):
		t.Errorf("told %v, and %d answers are kept", err, len(r.Unread))
	case !ended && replace && (r.Device == nil || r.Doubt == nil):
		t.Errorf("of the old device this is left: %+v", r)
	case r.Lease != nil || r.Guard.Wrong != 0:
		t.Errorf("the lease %+v, the guard %+v", r.Lease, r.Guard)
	}
	if n := len(e.sim.History(c.match)); n != 1 && (!replace || n != 2) {
		t.Errorf("inWebo received the request %d times", n)
	}
	e.mustEnroll(t, otp.EnrollRequest{Replace: true})
	e.mustKeep(t, 0)
	e.mustHaveOneSerial(t)
}
