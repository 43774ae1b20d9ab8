package replicatest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
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
			s := &soak{t: t, told: map[string]int{}, happened: map[string]int{}, disturbed: map[*process]bool{}}
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
		"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s", "PIN_GUARD_ATTEMPTS": "2", "PIN_GUARD_PAUSE": "0s",
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
	unsure   sync.Map     // accounts whose last answer may be lost
	calm     sync.RWMutex // locked while a trouble goes on

	mu        sync.Mutex
	replicas  []*process        // the first one lives for as long as callers call, so that a leak of it shows
	disturbed map[*process]bool // it was killed or ended: a caller may get no answer
	added     []string          // accounts that were enrolled or imported meanwhile
	told      map[string]int
	happened  map[string]int // troubles
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
	troubles := slices.Concat(s.store.troubles(), everyStoresTroubles())
	for i := 0; ctx.Err() == nil; i++ {
		next := troubles[i%len(troubles)]
		s.calm.Lock()
		err := next.do(s)
		s.calm.Unlock()
		if err != nil {
			s.t.Errorf("%s: %v", next.name, err)
		}
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
		s.explain(p, "wrong PIN", account, s.make(p, call{account: account, pin: "9999"}))
		s.explain(p, "PIN", account, s.make(p, call{account: account}))
	case 5, 6, 7, 8, 9: // a backend that repeats its call elsewhere, after a lost answer
		key := fmt.Sprint("soak-", rand.Uint64())
		first := s.make(p, call{account: account, repeat: key})
		other := s.processes()[rand.IntN(2)]
		second := s.make(other, call{account: account, repeat: key})
		if first.otp != "" && second.otp != "" && first.otp != second.otp {
			s.t.Errorf("%s: a repeated call gets another OTP", account)
		}
		kind := "PIN"
		if first.otp == "" {
			kind = "repeat"
		}
		s.explain(other, kind, account, second)
	case 10, 11, 12:
		s.explain(p, "stranger", account, s.w.make(p, call{account: account, key: "stranger"}))
	case 13, 14, 15: // a caller that hangs up
		if _, isUnsure := s.unsure.LoadOrStore(account, true); isUnsure {
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
	case 16:
		s.enroll()
	case 17:
		s.importDevice()
	default:
		s.explain(p, "PIN", account, s.make(p, call{account: account}))
	}
}

// make makes a call. While a trouble goes on, it waits with an account whose last answer may be lost: an inWebo that takes the old keys does
// so once.
func (s *soak) make(p *process, c call) answer {
	if _, isUnsure := s.unsure.Load(c.account); isUnsure {
		s.calm.RLock()
		defer s.calm.RUnlock()
	}
	a := s.w.make(p, c)
	switch {
	case a.otp != "":
		s.unsure.Delete(c.account)
	case a.status != http.StatusForbidden:
		s.unsure.Store(c.account, true)
	}
	return a
}

// enroll makes a device for an account that has none, next to the service as a command does.
func (s *soak) enroll() {
	account := fmt.Sprintf("new-%d", s.fresh.Add(1))
	code := strings.ReplaceAll(account, "-", "")
	if err := s.w.inwebo.AddAccount(inwebosim.Account{Login: account, Codes: []inwebosim.Code{{Value: code}}}); err != nil {
		s.t.Error(err)
		return
	}
	_, err := s.w.core.OTP.Enroll(s.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"},
		otp.EnrollRequest{SMSCode: secret.NewText(code), PIN: secret.NewText(pin)})
	s.explainNewDevice("enrollment", account, err)
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
	s.explainNewDevice("import", account, s.importFor(account, device))
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
	drawn, err := hex.DecodeString(device.Secret)
	if err != nil {
		return err
	}
	return s.w.core.OTP.Import(s.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"}, otp.ForeignDevice{
		Serial: ratchet.Serial(device.Serial), Identity: inwebo.Identity{ID: device.ID, LastSync: fmt.Sprint(device.Tsync)},
		Services: []inwebo.Service{{ID: device.Services[0], Name: "Cars"}},
		State: ratchet.State{
			Keys: ratchet.Keys{K0: secret.NewText(device.K0), K1: secret.NewText(device.K1)}, Secret: secret.NewBytes(drawn),
		},
	})
}

// explainNewDevice counts a new device, or why there is none.
func (s *soak) explainNewDevice(kind, account string, err error) {
	cause := otp.CauseOf(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.added = append(s.added, account)
	}
	s.told[fmt.Sprintf("%s: %v", kind, cause)]++
	if err != nil && cause == nil {
		s.t.Errorf("%s: an error without a cause: %v", kind, err)
	}
}

// count counts something that callers or operators were told.
func (s *soak) count(told string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[told]++
}

// explain counts an answer, and wants one that the kind of the caller or a trouble explains.
func (s *soak) explain(p *process, kind, account string, a answer) {
	told := fmt.Sprintf("%s: HTTP %d, code %d", kind, a.status, a.code)
	code := fmt.Sprintf("%d %d", a.status, a.code)
	ok := slices.Contains(explained[kind], code) || kind == "repeat" && (code == inFlight && a.after > 0 || slices.Contains(explained["PIN"], code))
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.err != nil {
		told, ok = kind+": no answer", s.disturbed[p]
	}
	if a.otp != "" && !a.replayed && !s.w.verifies(account, a) {
		told, ok = kind+": an OTP that does not verify", false
	}
	if s.told[told]++; !ok {
		s.t.Errorf("%s, which nothing explains: %v %s", told, a.err, a.body)
	}
}

// inFlight is what a repeated call is told, with a Retry-After, while the lease of the first one lasts, whose process was killed. One whose
// key is spent has no Retry-After.
const inFlight = "409 2005"

// explained has what each kind of caller may be told, as HTTP status and code.
var explained = map[string][]string{
	"PIN": {
		"200 0",
		"409 2311", "429 2308", "423 2308", // busy; attempts of killed calls still count
		"502 2202", "504 2202", "503 2202", // the network
		"502 2316", "504 2316", "503 2316", // in doubt
		"500 2000", "503 2000", "503 2001", // the store; a process that ends
	},
	"wrong PIN": {
		"403 2308", "429 2308", "423 2308", "409 2311", "502 2202", "504 2202", "503 2202", "502 2316", "504 2316", "503 2316", "500 2000", "503 2000",
		"503 2001",
	},
	"stranger": {"401 2301", "429 2301", "503 2001", "503 2000"},
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
