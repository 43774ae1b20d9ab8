package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"

	"go.opentelemetry.io/otel/trace/noop"
)

const readTimeout = 5 * time.Second

// wire is a server in a bubble of its own time, at the other end of a pipe.
type wire struct {
	net.Conn
	answers *bufio.Reader
	domain  *domain
	journal *journal
}

// onWire serves one connection for the length of f.
func onWire(t *testing.T, f func(t *testing.T, w *wire)) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		w := &wire{
			Conn: ours, answers: bufio.NewReader(ours), journal: &journal{},
			domain: &domain{issue: func(context.Context) (otp.Issued, error) {
				return otp.Issued{OTP: secret.NewText(anOTP)}, nil
			}},
		}
		server := &http.Server{ReadTimeout: readTimeout, IdleTimeout: time.Minute, Handler: api.New(api.Config{
			Tracer:   noop.NewTracerProvider().Tracer(""),
			Accounts: w.domain, Callers: &callers{}, Observer: w.journal,
		})}
		l := &oneConn{conn: theirs, closed: make(chan struct{})}
		var served sync.WaitGroup
		served.Go(func() { _ = server.Serve(l) })
		f(t, w)
		_ = ours.Close()
		_ = server.Close()
		served.Wait()
	})
}

// say sends text, and does not mind when the server has hung up.
func (w *wire) say(text string) { _, _ = io.WriteString(w, text) }

// status reads an answer and gives its status.
func (w *wire) status(t *testing.T) int {
	t.Helper()
	resp, err := http.ReadResponse(w.answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

const (
	wireHead = "Host: x\r\nAuthorization: Bearer " + aToken + "\r\nContent-Type: application/json\r\nContent-Length: 37\r\n\r\n"
	wirePost = "POST " + api.RouteOTP + " HTTP/1.1\r\n" + wireHead
)

// A body that does not come is waited for as long as the server reads and no longer, whether it would be read or only thrown away.
func TestABodyThatDoesNotCome(t *testing.T) {
	for head, status := range map[string]int{wirePost: 400, "POST / HTTP/1.1\r\n" + wireHead: 404} {
		onWire(t, func(t *testing.T, w *wire) {
			began := time.Now()
			w.say(head + aBody[:20])
			if got := w.status(t); got != status {
				t.Errorf("status %d, want %d", got, status)
			}
			if waited := time.Since(began); waited < readTimeout || waited > readTimeout+time.Second {
				t.Errorf("the answer came after %v", waited)
			}
			if len(w.domain.asked) > 0 {
				t.Error("the domain was asked")
			}
			if _, err := w.answers.ReadByte(); err == nil {
				t.Error("the connection is used on")
			}
		})
	}
}

// The time for the body is not that of the call: an answer may take longer, and the caller still counts as present.
func TestACallMayTakeLongerThanItsBody(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		w.domain.issue = func(ctx context.Context) (otp.Issued, error) {
			select {
			case <-ctx.Done():
				return otp.Issued{}, errors.New("the caller counts as gone")
			case <-time.After(5 * readTimeout):
				return otp.Issued{OTP: secret.NewText(anOTP)}, nil
			}
		}
		for range 2 { // the second on the same connection
			w.say(wirePost)
			time.Sleep(readTimeout / 2)
			w.say(aBody)
			if got := w.status(t); got != 200 {
				t.Errorf("status %d", got)
			}
			if e := w.journal.last(t); e.ClientGone || e.Err != nil || e.Duration != 5*readTimeout+readTimeout/2 {
				t.Errorf("the event is %+v", e)
			}
			time.Sleep(2 * readTimeout) // the idle connection has its own time
		}
	})
}

// Who hangs up during the call is told to have gone.
func TestACallerWhoHangsUp(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		w.domain.issue = func(ctx context.Context) (otp.Issued, error) {
			<-ctx.Done()
			return otp.Issued{}, otp.ErrBusy
		}
		w.say(wirePost + aBody)
		synctest.Wait()
		_ = w.Close()
		synctest.Wait()
		if e := w.journal.last(t); !e.ClientGone {
			t.Errorf("the event is %+v", e)
		}
	})
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }
