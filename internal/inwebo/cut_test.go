package inwebo_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
)

func isFault(err, how, why error) bool {
	_, ok := errors.AsType[*inwebo.Fault](err)
	return ok && errors.Is(err, how) && errors.Is(err, why)
}

// An answer that is cut before the end of its root is no answer, for every length and each way of saying where it ends.
// Once its root has begun, it comes from inWebo, and what arrived of it is kept. Once its root has ended, it is an answer.
func TestCutAnswers(t *testing.T) {
	body := strings.ReplaceAll(finalizeOf("<defi>1</defi>"), "\n", "")
	for name, answer := range map[string]string{
		"length": withLength(body), "reset": withLength(body), "length too long": withLength(body + " ")[:len(withLength(body))],
		"chunks": withChunks(body), "close": withClose(body),
	} {
		t.Run(name, func(t *testing.T) {
			head := strings.Index(answer, "\r\n\r\n") + 4
			whole := strings.Index(answer, "</ActionFinalize>") + len("</ActionFinalize>")
			whyCut := func(n int) error {
				switch {
				case n >= whole:
					return nil
				case strings.Contains(answer[:n], "<ActionFinalize>"):
					return inwebo.ErrUnreadable
				case name != "close" || n < head:
					return inwebo.ErrNetwork
				case strings.Contains(answer[:n], "<ActionFinalize"):
					return inwebo.ErrUnreadable
				default:
					return inwebo.ErrNotService
				}
			}
			base := serveRaw(t, func(n int, conn *rawConn) {
				conn.request()
				conn.say("%s", answer[:n])
				if name == "reset" {
					_ = conn.Conn.(*net.TCPConn).SetLinger(0)
				}
			})
			c := newClient(t, target(t, base))
			for n := range len(answer) {
				err := otpFinalize.make(t, c)
				if why := whyCut(n); !errors.Is(err, why) || why != nil && !errors.Is(err, inwebo.ErrNoAnswer) {
					t.Errorf("cut after %d bytes (%q): %v; want %v", n, answer[:n], err, why)
				}
			}
			if err := otpFinalize.make(t, c); err != nil {
				t.Errorf("the whole answer: %v", err)
			}
		})
	}
}

// What comes too late is no answer, wherever it stops. The time runs out as soon as the request is there.
func TestLateAnswers(t *testing.T) {
	whole := withLength(otpFinalize.answer)
	begun, _, _ := strings.Cut(whole, "Finalize>")
	for name, said := range map[string]string{"silence": "", "half a header": whole[:20], "no body": whole[:68], "half a start tag": begun} {
		t.Run(name, func(t *testing.T) {
			ctx, runOut := context.WithCancelCause(t.Context())
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				conn.say("%s", said)
				runOut(context.DeadlineExceeded)
				conn.wait()
			})
			err := otpFinalize.do(ctx, newClient(t, target(t, base)).Client, "")
			assertSilent(t, err)
			assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrLate, "")
		})
	}
}

// What arrived of an answer to a finalize whose root has begun is kept, whatever ended the connection.
func TestACutAnswerIsKept(t *testing.T) {
	arrived := "<ActionFinalize><err>OK</err><dK1>c4n4ry"
	tests := map[string]struct {
		serve func(*rawConn)
		why   error
	}{
		"closed": {func(*rawConn) {}, inwebo.ErrNetwork},
		"late":   {(*rawConn).wait, inwebo.ErrLate},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				conn.say("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n%s", arrived)
				test.serve(conn)
			})
			config := target(t, base)
			config.ExchangeTimeout = time.Second
			err := otpFinalize.make(t, newClient(t, config))
			detail := "it ends too early, because the connection brought no more: " + test.why.Error()
			u, ok := errors.AsType[*inwebo.Unreadable](err)
			if !ok || !u.Cut || !u.Accepted || string(u.Answer.Reveal()) != arrived || !strings.HasSuffix(err.Error(), detail) {
				t.Errorf("%#v; want an answer that was cut, accepted and kept: %s", err, detail)
			}
		})
	}
}

// ExchangeTimeout lasts to the end of the answer.
func TestTheExchangeTimesOut(t *testing.T) {
	t.Parallel()
	base := serveRaw(t, func(_ int, conn *rawConn) {
		conn.request()
		conn.say("%s", withLength(otpFinalize.answer)[:68])
		conn.wait()
	})
	config := target(t, base)
	config.ExchangeTimeout = time.Second
	err := otpFinalize.make(t, newClient(t, config))
	assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrLate, "")
}

// A caller that gives up after the request has left does not know what became of it.
func TestGivenUpAfterItWasSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base := serveRaw(t, func(_ int, conn *rawConn) {
		conn.request()
		cancel()
		conn.wait()
	})
	err := otpFinalize.do(ctx, newClient(t, target(t, base)).Client, "")
	assertSilent(t, err)
	assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrNetwork, "the exchange was given up")
}
