package inwebo_test

import (
	"context"
	"errors"
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
// Where only the close says that it ends, a document that is cut looks like one that is broken. Once its root has ended it
// is an answer.
func TestCutAnswers(t *testing.T) {
	body := strings.ReplaceAll(finalizeOf("<defi>1</defi>"), "\n", "")
	for name, answer := range map[string]string{"length": withLength(body), "chunks": withChunks(body), "close": withClose(body)} {
		t.Run(name, func(t *testing.T) {
			head := strings.Index(answer, "\r\n\r\n") + 4
			whole := strings.Index(answer, "</ActionFinalize>") + len("</ActionFinalize>")
			whyCut := func(n int) error {
				switch {
				case n >= whole:
					return nil
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
	for name, said := range map[string]string{"silence": "", "half a header": whole[:20], "no body": whole[:68], "half a body": whole[:len(whole)-9]} {
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

// ExchangeTimeout lasts to the end of the answer.
func TestTheExchangeTimesOut(t *testing.T) {
	t.Parallel()
	base := serveRaw(t, func(_ int, conn *rawConn) {
		conn.request()
		conn.say("%s", withLength(otpFinalize.answer)[:90])
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
