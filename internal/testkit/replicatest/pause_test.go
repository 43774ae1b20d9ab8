package replicatest_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
)

// nap is a moment at which a process that holds a device falls asleep.
type nap struct {
	name   string
	when   moment
	action string
	// inHand says that the process has read the answer, which the store does not take. Else the answer leaves inWebo while
	// the process sleeps.
	inHand bool
	// late says that the request reaches inWebo when all is over.
	late bool
	// sent says that inWebo has accepted a finalize of which the store knows nothing.
	sent bool
}

func naps() []nap {
	return []nap{
		{name: "before it has the challenge", when: after, action: actionSetup},
		{name: "when its finalize is on the way", when: before, action: actionFinalize, late: true},
		{name: "before it has the answer", when: after, action: actionFinalize, sent: true},
		{name: "with the answer in hand", when: after, action: actionFinalize, inHand: true, sent: true},
	}
}

// A process that falls asleep in the middle of a conversation, and wakes up after another has taken the device over, hands
// out no OTP that does not verify, and the keys that inWebo accepted are not lost: the device goes on, or is in doubt.
func TestAHolderThatSleeps(t *testing.T) {
	const strict, lenient = inwebosim.LostFinalizeStrict, inwebosim.LostFinalizeLenient
	for _, s := range []struct {
		name  string
		store func(*testing.T) settings
		lock  func(*testing.T, settings) func()
		lost  inwebosim.LostFinalize
	}{ // the first two in `make test` too
		{"SQLite, strict", onSQLite, lockSQLite, strict},
		{"PostgreSQL, lenient", onPostgres(database), lockPostgres, lenient},
		{"SQLite, lenient", onSQLite, lockSQLite, lenient},
		{"PostgreSQL, strict", onPostgres(database), lockPostgres, strict},
	}[:either(2, 4)] {
		for _, n := range naps() {
			t.Run(s.name+", "+n.name, func(t *testing.T) {
				t.Parallel()
				knobs := inwebosim.DefaultKnobs()
				knobs.LostFinalize = s.lost
				store := s.store(t)
				w := newHarness(t, store, settings{"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s"}, knobs)
				w.sleepAndTakeOver(n, func() func() { return s.lock(t, store) })
			})
		}
	}
}

// sleepAndTakeOver puts a process to sleep, lets another take the device over, and looks at all that is told.
func (w *harness) sleepAndTakeOver(n nap, lock func() (unlock func())) {
	w.t.Helper()
	account := w.enroll(1)[0]
	holder, other := w.start(), w.start()
	w.wantOTP(holder, account)
	w.wantOTP(other, account)

	c := w.catch(n.when, n.action, account)
	first := make(chan answer, 1)
	go func() { first <- w.ask(holder, account) }()
	<-c.reached
	// The challenge may be asked for before the lease is stored, and a process that sleeps in a commit keeps SQLite's lock.
	until(w.t, "the lease is stored", func() bool { return w.status(account).State == otp.StateLeased })
	if n.inHand {
		heard := holder.heard()
		unlock := lock()
		c.release()
		until(w.t, "the holder has its answer", func() bool { return holder.heard() != heard })
		holder.pause()
		unlock()
	} else {
		holder.pause()
	}
	if !n.late {
		c.release()
	}
	finalizes := w.expected(account).Finalizes
	second := w.ask(other, account)
	if n.late {
		c.release()
		<-c.processed
	}
	holder.resume()
	w.checkAnswers(n, account, <-first, second)
	if sent := w.expected(account).Finalizes - finalizes; !n.late && sent != 1 {
		w.t.Errorf("%d finalizes were sent since the holder fell asleep, want that of the other process", sent)
	}
	w.wantOn(n, account, holder, other)
}

// checkAnswers looks at what the two callers were told: that of the holder, and that of the process that took over.
func (w *harness) checkAnswers(n nap, account string, first, second answer) {
	w.t.Helper()
	if first.err != nil || first.otp != "" && !w.verifies(account, first) {
		w.t.Errorf("the caller of the holder got %v, which does not verify", first)
	}
	refused := n.sent && w.inwebo.Knobs().LostFinalize == inwebosim.LostFinalizeStrict
	if refused && second.code != 2316 || !refused && !w.verifies(account, second) {
		w.t.Errorf("the caller of the other process got %v", second)
	}
}

// wantOn wants the device to go on, from both processes. If inWebo has moved it and the answer was never read, it may be
// in doubt instead, and then each process says so.
func (w *harness) wantOn(n nap, account string, holder, other *process) {
	w.t.Helper()
	a := w.ask(holder, account) // its lane is closed until it has settled
	if mayDoubt := n.sent && !n.inHand; mayDoubt && a.code == 2316 {
		if !w.status(account).InDoubt {
			w.t.Error("the device is refused, and not in doubt")
		}
		return
	}
	if !w.verifies(account, a) {
		w.t.Errorf("after all, the holder answers %v", a)
	}
	w.wantOTP(other, account)
	w.wantOTP(holder, account)
	if status := w.status(account); status.InDoubt || uint64(w.expected(account).Step) > status.Step {
		w.t.Errorf("the store has %+v", status)
	}
}

// heard is how many finalizes inWebo has accepted, as far as the process knows.
func (p *process) heard() float64 {
	p.t.Helper()
	return p.metric(`pimsd_inwebo_exchange_duration_seconds_count{exchange="otp_finalize",outcome="ok"}`)
}

// metric returns the sum of the metric's series, or one series that is named with its labels.
func (p *process) metric(name string) (sum float64) {
	p.t.Helper()
	resp, err := http.Get("http://" + p.ops + "/metrics")
	if err != nil {
		p.t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if of, _, _ := strings.Cut(series, "{"); series == name || of == name {
			v, _ := strconv.ParseFloat(value, 64)
			sum += v
		}
	}
	return sum
}
