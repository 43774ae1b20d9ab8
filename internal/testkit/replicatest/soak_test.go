package replicatest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

var (
	soakTime     = flag.Duration("soak", 0, "let TestSoak run so long on each kind of store, on both at the same time")
	soakAccounts = flag.Int("accounts", 10_000, "accounts of TestSoak, on each kind of store")
	soakRate     = flag.Float64("rate", 7, "calls in a second of TestSoak, on each kind of store: the mean of the day")
)

const (
	// soakCallers is how many call at the same time.
	soakCallers = 12
	// soakTroubles is about how many troubles a soak has.
	soakTroubles = 150
	// pinAttempts is how many wrong PINs of an account are forwarded: as few as may be, of those that inWebo allows.
	pinAttempts = 2
)

// TestSoak lets two replicas serve many accounts on one store, with callers of all kinds, enrollments and imports, while the network, the
// processes, the database, the clock and the sealing keys give trouble in turn. Its time is a day, which begins and ends quietly. Every
// answer must have an explanation, and in the end every account gets an OTP that verifies, from a store that was made of a backup. The
// report has how memory, goroutines, descriptors, the store's log and the daemon's log grew.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("make soak")
	}
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &soak{t: t, told: map[string]int{}, happened: map[string]int{}}
			s.open(name)
			s.network, s.w.settings["INWEBO_URL"] = newNetwork(t, s.w.inwebo.ProtocolURL())
			s.accounts = s.prefill(*soakAccounts)
			s.t.Logf("%d accounts have a device", len(s.accounts))
			s.replicas = s.w.starts(2)
			s.run(*soakTime)
		})
	}
}

// open makes an empty store of that kind.
func (s *soak) open(kind string) {
	keys := filepath.Join(s.t.TempDir(), seal.FileName)
	if _, err := seal.OpenFile(keys, true); err != nil {
		s.t.Fatal(err)
	}
	if kind == "SQLite" {
		dir := filepath.Join(s.t.TempDir(), "data")
		s.store, s.report.wal = onSQLiteSoaked{dir, keys}, filepath.Join(dir, sqlite.FileName+"-wal")
	} else {
		server := pgtest.New(s.t)
		url := server.Database(s.t).Reveal()
		server.Exec(s.t, url, newClock, useClock)
		s.store = onPostgresSoaked{server, url, keys}
	}
	knobs := inwebosim.DefaultKnobs()
	// A killed process loses an answer that nothing can bring back. Only an inWebo that still takes the old keys has that device go on.
	knobs.LostFinalize = inwebosim.LostFinalizeLenient
	s.w = newHarness(s.t, s.store.settings(), settings{
		"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s", "PIN_GUARD_ATTEMPTS": strconv.Itoa(pinAttempts), "PIN_GUARD_PAUSE": "0s",
	}, knobs)
	// A caller closes a connection that is idle before http.idle_timeout does, or a call may meet the end of it.
	s.w.client.Transport = &http.Transport{MaxIdleConnsPerHost: soakCallers, IdleConnTimeout: 30 * time.Second}
}

// soak is what goes on during TestSoak.
type soak struct {
	t        *testing.T
	w        *harness
	network  *toxiproxy.Proxy // to inWebo
	accounts []string
	store    soakStore
	report   report
	fresh    atomic.Int64 // accounts that an enrollment or an import was tried for
	busy     sync.Map     // accounts that a caller has, so that no two callers meet at one
	unsure   sync.Map     // accounts of which an answer may be lost since their last OTP, with the moment of the last one
	calm     sync.RWMutex // locked while a trouble goes on

	history sync.Map // by account, what was done last
	guesses sync.Map // by account, how often its PIN was guessed since its last OTP
	reached sync.Map // by process, when it had its last answer of inWebo
	untried sync.Map // accounts whose imported device has made no OTP yet
	events  events

	mu       sync.Mutex
	replicas []*process // the first one lives for as long as callers call, so that a leak of it shows
	added    []string   // accounts that were enrolled or imported meanwhile
	told     map[string]int
	happened map[string]int // troubles
}

// trouble is something that happens to the replicas or to what they need.
type trouble struct {
	name string
	do   func(*soak) error
}

// run lets callers call and troubles happen for so long, and checks what is left.
func (s *soak) run(length time.Duration) {
	began := time.Now()
	ctx, stop := context.WithTimeout(s.t.Context(), length)
	defer stop()
	var callers sync.WaitGroup
	for range soakCallers {
		callers.Go(func() {
			for s.rest(ctx, time.Since(began).Seconds()/length.Seconds()) {
				s.call()
			}
		})
	}
	var watching sync.WaitGroup
	watching.Go(func() { s.report.watch(ctx, s.replicas[0], length/100) })
	watching.Go(func() { s.events.watchStalls(ctx) })
	troubles := slices.Concat(s.store.troubles(), everyStoresTroubles())
	for i := 0; ctx.Err() == nil; i++ {
		next := troubles[i%len(troubles)]
		s.meet(next)
		s.happened[next.name]++
		if i%len(troubles) == len(troubles)-1 {
			s.tell(time.Since(began))
		}
		wait(ctx, rand.N(2*length/soakTroubles))
	}
	callers.Wait()
	watching.Wait()
	s.restore()
	s.checkAll()
	s.tell(length)
	s.report.check(s.t, length)
}

// meet has a trouble happen.
func (s *soak) meet(next trouble) {
	s.calm.Lock()
	defer s.calm.Unlock()
	began, end := time.Now(), s.events.begin(next.name, nil)
	err := next.do(s)
	end()
	s.t.Logf("%s: %s for %v", began.Format(time.TimeOnly), next.name, time.Since(began).Round(time.Millisecond))
	if err != nil {
		s.t.Errorf("%s: %v", next.name, err)
	}
}

// rest waits until a caller has another call to make, at that part of the day, and reports whether the day goes on.
func (s *soak) rest(ctx context.Context, part float64) bool {
	rate := *soakRate * (1 - 0.9*math.Cos(2*math.Pi*part))
	wait(ctx, time.Duration(rand.ExpFloat64()*soakCallers/rate*float64(time.Second)))
	return ctx.Err() == nil
}

// wait waits for so long, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// tell logs what has happened so far.
func (s *soak) tell(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Logf("after %v callers were told: %v", after.Round(time.Second), s.told)
	s.t.Logf("after %v there were troubles: %v", after.Round(time.Second), s.happened)
}

// call makes one call of a random kind.
func (s *soak) call() {
	account := s.accounts[rand.IntN(len(s.accounts))]
	if _, isBusy := s.busy.LoadOrStore(account, true); isBusy {
		return
	}
	defer s.busy.Delete(account)
	p := s.processes()[rand.IntN(2)]
	switch rand.IntN(100) {
	case 0, 1, 2, 3, 4: // a user who mistypes the PIN once
		s.make(attempt{kind: "wrong PIN", process: p}, call{account: account, pin: "9999"})
		s.make(attempt{kind: "PIN", process: p}, call{account: account})
	case 5, 6, 7, 8, 9: // a backend that repeats its call elsewhere, as after a lost answer
		key, began := fmt.Sprint("soak-", rand.Uint64()), time.Now()
		first := s.make(attempt{kind: "PIN", process: p}, call{account: account, repeat: key})
		second := s.make(attempt{kind: "repeat", process: s.processes()[rand.IntN(2)], first: began}, call{account: account, repeat: key})
		if first.otp != "" && second.otp != "" && first.otp != second.otp {
			s.t.Errorf("%s: a repeated call gets another OTP", account)
		}
	case 10, 11, 12:
		s.make(attempt{kind: "stranger", process: p}, call{account: account, key: "stranger"})
	case 13, 14, 15: // a caller that hangs up
		s.hangUp(p, account)
	case 16:
		s.enroll()
	case 17:
		s.importDevice()
	default:
		s.make(attempt{kind: "PIN", process: p}, call{account: account})
	}
}

// make makes a call, and wants an explanation of its answer. While a trouble goes on, it waits with an account of which an answer may be
// lost: an inWebo that takes the old keys does so once.
func (s *soak) make(a attempt, c call) answer {
	if lost, isUnsure := s.unsure.Load(c.account); isUnsure {
		s.calm.RLock()
		defer s.calm.RUnlock()
		a.lost, _ = lost.(time.Time)
	}
	_, a.untried = s.untried.Load(c.account)
	guesses, _ := s.guesses.Load(c.account)
	a.guesses, _ = guesses.(int)
	reached, _ := s.reached.Load(a.process)
	a.reached, _ = reached.(time.Time)
	a.account, a.asked = c.account, time.Now()
	got := s.w.make(a.process, c)
	a.answered, a.reason, a.err = time.Now(), got.reason, got.err
	if a.reaches() && !got.replayed {
		s.reached.Store(a.process, a.answered)
	}
	if a.kind != "stranger" {
		s.note(a, got.otp != "")
	}
	s.explain(a)
	if got.otp != "" && !got.replayed && !s.w.verifies(c.account, got) {
		s.t.Errorf("%s: an OTP that does not verify", c.account)
	}
	return got
}

// note notes what the answer leaves behind for later calls.
func (s *soak) note(a attempt, isOTP bool) {
	if isOTP {
		s.unsure.Delete(a.account)
		s.guesses.Delete(a.account)
		s.untried.Delete(a.account)
		return
	}
	if a.losesAnswer() {
		s.unsure.Store(a.account, a.answered)
	}
	if a.isGuess() {
		s.guesses.Store(a.account, a.guesses+1)
	}
}

// hangUp makes a call and does not wait for its answer, unless another answer may be lost already.
func (s *soak) hangUp(p *process, account string) {
	if _, isUnsure := s.unsure.Load(account); isUnsure {
		return
	}
	req, err := s.w.request(p, call{account: account})
	if err != nil {
		s.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), rand.N(20*time.Millisecond))
	defer cancel()
	if resp, err := s.w.client.Do(req.WithContext(ctx)); err == nil {
		_ = resp.Body.Close()
	}
	guesses, _ := s.guesses.Load(account)
	before, _ := guesses.(int)
	s.note(attempt{account: account, answered: time.Now(), guesses: before, err: context.Canceled}, false)
	s.remember(account, time.Now().Format(time.TimeOnly)+" hung up")
}

// enroll makes a device for an account that has none, next to the service as a command does.
func (s *soak) enroll() {
	account := fmt.Sprintf("new-%d", s.fresh.Add(1))
	code := strings.ReplaceAll(account, "-", "")
	if err := s.w.inwebo.AddAccount(inwebosim.Account{Login: account, Codes: []inwebosim.Code{{Value: code}}}); err != nil {
		s.t.Error(err)
		return
	}
	asked := time.Now()
	_, err := s.w.core.OTP.Enroll(s.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"},
		otp.EnrollRequest{SMSCode: secret.NewText(code), PIN: secret.NewText(pin)})
	s.explainNewDevice("enrollment", account, asked, err)
}

// importDevice imports a device of another client for an account that has none.
func (s *soak) importDevice() {
	n := s.fresh.Add(1)
	account := fmt.Sprintf("new-%d", n)
	device, err := s.plant(account, n)
	if err != nil {
		s.t.Error(err)
		return
	}
	asked := time.Now()
	s.explainNewDevice("import", account, asked, s.importFor(account, device))
}

// prefill makes so many accounts, each with an imported device, and returns their names.
func (s *soak) prefill(n int) []string {
	const atOnce, tries = 8, 10
	accounts, places := make([]string, n), make(chan struct{}, atOnce)
	together(n, func(_, item int) {
		places <- struct{}{}
		defer func() { <-places }()
		accounts[item] = fmt.Sprintf("account-%d", item)
		device, err := s.plant(accounts[item], s.fresh.Add(1))
		if err != nil {
			s.t.Error(err)
			return
		}
		for range tries { // on a busy machine, a store may time out
			if err = s.importFor(accounts[item], device); err == nil || errors.Is(err, otp.ErrAlreadyEnrolled) {
				return
			}
		}
		s.t.Errorf("import %s: %v", accounts[item], err)
	})
	return accounts
}

// plant makes the nth device of an account at inWebo, as another client has it.
func (s *soak) plant(account string, n int64) (inwebosim.Device, error) {
	device := inwebosim.Device{
		ID: fmt.Sprintf("%016x", n), Serial: fmt.Sprintf("soak/_/%032x", n), Login: account, PIN: pin, Secret: fmt.Sprintf("%032x", 7*n),
		K0: fmt.Sprintf("%032x", 3*n), K1: fmt.Sprintf("%032x", 5*n), Services: s.w.inwebo.ServiceIDs(),
		Tsync: 1_700_000_000,
	}
	err := s.w.inwebo.AddAccount(inwebosim.Account{Login: account, PIN: pin, Codes: []inwebosim.Code{{Value: fmt.Sprintf("import%d", n)}}})
	return device, errors.Join(err, s.w.inwebo.PlantDevice(device))
}

// importFor imports a planted device for an account.
func (s *soak) importFor(account string, device inwebosim.Device) error {
	s.untried.Store(account, true)
	return s.w.core.OTP.Import(s.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"}, testkit.ForeignDevice(device))
}

// explainNewDevice counts a new device, and wants an explanation when there is none.
func (s *soak) explainNewDevice(kind, account string, asked time.Time, err error) {
	a := attempt{kind: kind, account: account, asked: asked, answered: time.Now(), reason: otp.ReasonOf(err)}
	if err != nil && a.reason == "" {
		a.reason = errcodes.ReasonInternalError
		s.t.Errorf("%s: an error without a cause: %v", kind, err)
	}
	if err == nil {
		s.mu.Lock()
		s.added = append(s.added, account)
		s.mu.Unlock()
	}
	s.explain(a)
}

// count counts something that callers or operators were told.
func (s *soak) count(told string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[told]++
}

// checkAll wants that inWebo blocks no account, and that every one gets an OTP that verifies. An account whose attempts still count because
// their process was killed is unlocked first, as an operator does.
func (s *soak) checkAll() {
	unlocked := 0
	p := s.processes()[0]
	all := slices.Concat(s.accounts, s.added)
	s.w.findDevices()
	together(len(all), func(_, item int) {
		account := all[item]
		if s.w.expected(account).Blocked {
			s.t.Errorf("%s is blocked", account)
		}
		a := s.w.askPatiently(p, account)
		if a.code == 2308 && a.status != http.StatusForbidden {
			if err := s.w.core.OTP.Unlock(s.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"}); err != nil {
				s.t.Error(err)
			}
			s.mu.Lock()
			unlocked++
			s.mu.Unlock()
			a = s.w.askPatiently(p, account)
		}
		if !s.w.verifies(account, a) {
			s.t.Errorf("%s is lost: %v %s", account, a, a.body)
		}
	})
	s.t.Logf("%d accounts were asked for an OTP, %d of them enrolled or imported meanwhile; %d were unlocked", len(all), len(s.added), unlocked)
}

func (s *soak) processes() []*process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.replicas)
}
