package replicatest_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// The primary is killed under load and its synchronous standby promoted, again and again; each time the killed server comes back as
// the standby, at its place in the URL. No acknowledged step is lost, no right PIN is refused, and the processes go on by themselves.
func TestPromotion(t *testing.T) {
	rounds := either(1, 20)
	c := startCluster(t)
	knobs := inwebosim.DefaultKnobs()
	knobs.LostFinalize = inwebosim.LostFinalizeStrict
	w := newHarness(t, c.store, settings{"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s"}, knobs)
	accounts := w.enroll(16)
	processes := w.starts(2)
	w.inwebo.SetHooks(inwebosim.Hooks{After: func(inwebosim.Exchange) { time.Sleep(rand.N(20 * time.Millisecond)) }})

	load := w.load(processes, accounts)
	for round := range rounds + 1 { // the last one has the servers at their old places
		if err := c.primary.RequireStandby(t.Context()); err != nil {
			t.Fatal(err)
		}
		load.wantProgress() // so that each account has a commit that waited for the standby
		time.Sleep(rand.N(50 * time.Millisecond))
		c.failOver(t)
		load.wantProgress()
		if err := c.standby.FollowAgain(c.primary); err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d OTPs so far", round+1, load.count())
	}
	load.end()
	for _, p := range processes {
		w.wantAllOn(p, accounts)
	}
	if epoch := w.epoch(); epoch.Number != uint64(rounds)+2 || epoch.Cause != "promotion" {
		t.Errorf("after %d promotions the epoch is %+v", rounds+1, epoch)
	}
}

// A standby that lacks the newest steps is promoted while processes run. Each device that lost a step is in doubt before the first
// caller asks for it, who is told 2316 and not that the PIN is wrong; every other device goes on.
func TestPromotionOfALaggingStandby(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	knobs := inwebosim.DefaultKnobs()
	knobs.LostFinalize = inwebosim.LostFinalizeStrict
	w := newHarness(t, c.store, nil, knobs)
	accounts := w.enroll(12)
	processes := w.starts(2)
	for _, p := range processes {
		w.wantAllOn(p, accounts)
	}
	if err := c.primary.RequireStandby(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantAllOn(processes[0], accounts) // the standby has what it has made so far
	c.primary.Exec(t, c.primary.URL("postgres"), "ALTER SYSTEM RESET synchronous_standby_names")
	if err := c.standby.Stop(); err != nil {
		t.Fatal(err)
	}
	c.primary.Exec(t, c.primary.URL("postgres"), "SELECT pg_reload_conf()")
	lost, whole := accounts[:6], accounts[6:]
	for i, account := range lost {
		w.wantOTP(processes[i%2], account)
	}
	if err := c.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.standby.StartAgain(); err != nil {
		t.Fatal(err)
	}
	if err := c.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, account := range lost {
		if i%2 == 0 { // the others are met by a caller first
			w.wantDoubt(account)
		}
		a := w.askUntilServed(processes[(i+1)%2], account)
		if a.code != 2316 || a.status != http.StatusBadGateway {
			t.Errorf("%s, which lost a step: %v (%d)", account, a, a.status)
		}
		w.wantDoubt(account)
	}
	for i, account := range whole {
		w.wantDoubt(account)
		if a := w.askUntilServed(processes[i%2], account); !w.verifies(account, a) {
			t.Errorf("%s, which lost nothing: %v", account, a)
		}
	}
}

// cluster is a primary and its standby, with one database of both.
type cluster struct {
	primary, standby *pgtest.Server
	store            settings // which names both, the first primary first
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	primary := database.Twin(t)
	store := onPostgres(primary)(t)
	standby := primary.Standby(t)
	u, err := url.Parse(store["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	u.Host = primary.Host() + "," + standby.Host()
	store["DATABASE_URL"] = u.String()
	return &cluster{primary: primary, standby: standby, store: store}
}

// failOver kills the primary and promotes the standby. What was the primary is not running then.
func (c *cluster) failOver(t *testing.T) {
	t.Helper()
	if err := c.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	c.primary, c.standby = c.standby, c.primary
	if err := c.primary.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// askUntilServed asks until the process has connected to a server that takes writes.
func (w *harness) askUntilServed(p *process, account string) (a answer) {
	w.t.Helper()
	until(w.t, "the store takes writes", func() bool {
		a = w.askPatiently(p, account)
		return a.code != 2000
	})
	return a
}

// wantDoubt looks at the account as a command does.
func (w *harness) wantDoubt(account string) {
	w.t.Helper()
	var status otp.Status
	until(w.t, "the store is read", func() (ok bool) {
		var err error
		status, err = w.core.OTP.Status(w.t.Context(), otp.Account(account))
		return err == nil
	})
	if !status.InDoubt {
		w.t.Errorf("%s is not in doubt", account)
	}
}

// epoch returns the doubt epoch of the store.
func (w *harness) epoch() otp.Epoch {
	w.t.Helper()
	epoch, err := w.core.Store.Epoch(w.t.Context())
	if err != nil {
		w.t.Error(err)
	}
	return epoch
}
