package otp_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// slowCommits is a store that returns early from each lease. It stores the lease when commit returns nil.
type slowCommits struct {
	otp.Store
	commit func() error
}

func (s *slowCommits) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	read := func(ctx context.Context) (otp.Snapshot, error) { return storetest.Snapshot(ctx, s.Store, account, key) }
	found, err := read(ctx)
	if err != nil {
		return otp.Decision{}, err
	}
	d := decide(found)
	if d.Write == nil || !d.Early {
		return otp.UpdateInSteps(ctx, read, s.Store, decide)
	}
	d.Pending = begin(func() error {
		if err := s.commit(); err != nil {
			return err
		}
		w := *d.Write
		w.Over = found.Row.Body
		return s.Replace(context.WithoutCancel(ctx), w)
	})
	return d, nil
}

// committing is a write that is done when ended is closed, with the result err.
type committing struct {
	ended chan struct{}
	err   error
}

// begin runs the write in a goroutine.
func begin(write func() error) *committing {
	c := &committing{ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = write()
	}()
	return c
}

func (c *committing) Wait(ctx context.Context) error {
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tracedCall returns a context with a span, and a function that returns the spans that have ended below it, with their status.
func tracedCall(t *testing.T) (ctx context.Context, spans func() []string) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	ctx, _ = trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("").Start(t.Context(), "call")
	return ctx, func() (ended []string) {
		for _, span := range recorder.Ended() {
			line := span.Name()
			if span.Status().Code == codes.Error {
				line += " failed"
			}
			ended = append(ended, line)
		}
		return ended
	}
}

// While its lease is being committed, a conversation asks for the challenge. It sends the proofs when the lease is stored, and waits for
// that no longer than for any write. The trace says what became of the lease.
func TestLeaseThatIsBeingCommitted(t *testing.T) {
	t.Parallel()
	sim := started(t, func(*inwebosim.Knobs) {})
	storeFailed := "outcome: " + string(otp.ReasonOf(otp.ErrStore))
	for _, row := range []struct {
		name   string
		takes  time.Duration
		err    error
		after  time.Duration // the caller gets its answer
		issued bool
		spans  []string
		lines  []string
	}{
		{
			name: "stored", takes: time.Second, after: time.Second, issued: true,
			spans: []string{"lease", "settle"}, lines: []string{"attempt", "outcome: done"},
		},
		{
			name: "stored too late", takes: time.Minute, after: limits().StoreTimeout,
			spans: []string{"lease failed", "settle"}, lines: []string{"attempt", storeFailed},
		},
		{
			name: "unknown", takes: time.Second, err: errStoreFault, after: time.Second,
			spans: []string{"lease failed", "settle"}, lines: []string{"attempt", storeFailed},
		},
		{
			name: "not stored", takes: time.Second, err: fmt.Errorf("%w: no room", otp.ErrNotApplied), after: time.Second,
			spans: []string{"lease failed"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := plant(t, sim, inwebosim.Override{})
				client, exchanges := newBridge(sim), []inwebo.Exchange(nil)
				client.meddle = func(exchange inwebo.Exchange) mishap {
					exchanges = append(exchanges, exchange)
					if isFinalize := exchange == inwebo.ExchangeOTPFinalize; isFinalize != (d.record(t).Lease != nil) {
						t.Errorf("at %v the record is %+v", exchange, d.record(t))
					}
					return fine
				}
				service := otp.New(&slowCommits{Store: d.memory, commit: func() error {
					time.Sleep(row.takes)
					return row.err
				}}, client, limits(), nil)
				ctx, spans := tracedCall(t)
				start := time.Now()
				issued, err := service.IssueOTP(ctx, d.request(), rightPIN)
				if took := time.Since(start); took != row.after {
					t.Errorf("the answer took %v, want %v", took, row.after)
				}
				drained(t, service)
				time.Sleep(time.Minute) // for what is still on its way
				if row.issued {
					mustVerify(t, d, issued, err)
					d.mustRemain(t, remains{steps: 1, units: 1, finalizes: 1}, false)
				} else {
					if otp.CauseOf(err) != otp.ErrStore {
						t.Errorf("the caller is told %v", err)
					}
					d.mustRemain(t, remains{}, false)
				}
				if len(exchanges) == 0 || exchanges[0] != inwebo.ExchangeOTPSetup {
					t.Errorf("the exchanges were %v", exchanges)
				}
				if got := spans(); !slices.Equal(got, row.spans) {
					t.Errorf("the spans are %q, want %q", got, row.spans)
				}
				mustHaveLines(t, d, row.lines...)
				d.mustGoOn(t, newBridge(sim), false)
			})
		})
	}
}

// The span of a lease that is stored at once ends with it.
func TestSpanOfALease(t *testing.T) {
	t.Parallel()
	d := plant(t, started(t, func(*inwebosim.Knobs) {}), inwebosim.Override{})
	service := otp.New(d.memory, newBridge(d.sim), limits(), nil)
	ctx, spans := tracedCall(t)
	issued, err := service.IssueOTP(ctx, d.request(), rightPIN)
	mustVerify(t, d, issued, err)
	if got, want := spans(), []string{"lease", "settle"}; !slices.Equal(got, want) {
		t.Errorf("the spans are %q, want %q", got, want)
	}
}
