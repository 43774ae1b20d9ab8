package replicatest_test

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
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
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

var (
	soakTime     = flag.Duration("soak", 0, "let TestSoak run so long, half of it on each kind of store")
	soakAccounts = flag.Int("accounts", 10_000, "accounts of TestSoak")
)

// soakCallers is how many call at the same time.
const soakCallers = 12

// TestSoak lets two replicas serve many accounts on one store, with callers of all kinds, enrollments and imports, while the network, the
// processes, the database and the sealing keys give trouble in turn. Every answer must have an explanation, and in the end every account
// gets an OTP that verifies. The report has how memory, goroutines, descriptors, the store's log and the daemon's log grew.
func TestSoak(t *testing.T) {
	if *soakTime == 0 {
		t.Skip("make soak")
	}
	for name, prepare := range map[string]func(*soak) settings{"SQLite": soakOnSQLite, "PostgreSQL": soakOnPostgres} {
		t.Run(name, func(t *testing.T) {
			s := &soak{
				t: t, troubles: everyStoresTroubles(), atLast: func(*soak) {}, told: map[string]int{}, happened: map[string]int{},
				disturbed: map[*process]bool{},
			}
			store := prepare(s)
			knobs := inwebosim.DefaultKnobs()
			// A killed process loses an answer that nothing can bring back. Only an inWebo that still takes the old keys has that device go on.
			knobs.LostFinalize = inwebosim.LostFinalizeLenient
			s.w = newHarness(t, store, settings{
				"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s", "PIN_GUARD_ATTEMPTS": "2", "PIN_GUARD_PAUSE": "0s",
			}, knobs)
			s.network, s.w.settings["INWEBO_URL"] = newNetwork(t, s.w.inwebo.ProtocolURL())
			s.accounts = s.w.enroll(*soakAccounts)
			s.replicas = s.w.starts(2)
			s.run(*soakTime / 2)
		})
	}
}

// soak is what goes on during TestSoak.
type soak struct {
	t        *testing.T
	w        *harness
	network  *toxiproxy.Proxy // to inWebo
	accounts []string
	troubles []trouble
	atLast   func(*soak) // what happens when all callers have ended
	report   report
	fresh    atomic.Int64 // accounts that an enrollment or an import was tried for
	busy     sync.Map     // accounts that a caller has, so that no two callers meet at one

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
	do   func(*soak)
}

func soakOnSQLite(s *soak) settings {
	s.troubles = append([]trouble{{"key rotation", (*soak).rotate}}, s.troubles...)
	s.atLast = (*soak).restore
	store := onSQLite(s.t)
	s.report.wal = filepath.Join(store["DATA_DIR"], sqlite.FileName+"-wal")
	return store
}

func soakOnPostgres(s *soak) settings {
	server := pgtest.New(s.t)
	s.troubles = append([]trouble{{"database killed", func(*soak) {
		if err := errors.Join(server.Kill(), server.StartAgain()); err != nil {
			s.t.Error(err)
		}
	}}}, s.troubles...)
	return onPostgres(server)(s.t)
}

// run lets callers call and troubles happen for so long, and checks what is left.
func (s *soak) run(length time.Duration) {
	ctx, stop := context.WithTimeout(s.t.Context(), length)
	defer stop()
	var callers sync.WaitGroup
	for range soakCallers {
		callers.Go(func() {
			for ctx.Err() == nil {
				s.call()
			}
		})
	}
	var watching sync.WaitGroup
	watching.Go(func() { s.report.watch(ctx, s.replicas[0], length/100) })
	for i := 0; ctx.Err() == nil; i++ {
		next := s.troubles[i%len(s.troubles)]
		next.do(s)
		s.happened[next.name]++
		select {
		case <-ctx.Done():
		case <-time.After(time.Second + rand.N(2*time.Second)):
		}
	}
	callers.Wait()
	watching.Wait()
	s.atLast(s)
	s.checkAll()
	s.t.Logf("callers were told: %v", s.told)
	s.t.Logf("troubles: %v", s.happened)
	s.report.check(s.t, length)
}

// call makes one call of a random kind.
func (s *soak) call() {
	account := s.accounts[rand.IntN(len(s.accounts))]
	if _, isBusy := s.busy.LoadOrStore(account, true); isBusy {
		return
	}
	defer s.busy.Delete(account)
	p := s.processes()[rand.IntN(2)]
	switch rand.IntN(20) {
	case 0: // a user who mistypes the PIN once
		s.explain(p, "wrong PIN", account, s.w.make(p, call{account: account, pin: "9999"}))
		s.explain(p, "PIN", account, s.w.make(p, call{account: account}))
	case 1: // a backend that repeats its call elsewhere, after a lost answer
		key := fmt.Sprint("soak-", rand.Uint64())
		first := s.w.make(p, call{account: account, repeat: key})
		other := s.processes()[rand.IntN(2)]
		second := s.w.make(other, call{account: account, repeat: key})
		if first.otp != "" && second.otp != "" && first.otp != second.otp {
			s.t.Errorf("%s: a repeated call gets another OTP", account)
		}
		s.explain(other, "PIN", account, second)
	case 2:
		s.explain(p, "stranger", account, s.w.make(p, call{account: account, key: "stranger"}))
	case 3: // a caller that hangs up
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
	case 4:
		s.enroll()
	case 5:
		s.importDevice()
	default:
		s.explain(p, "PIN", account, s.w.ask(p, account))
	}
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
	device := inwebosim.Device{
		ID: fmt.Sprintf("%016x", n), Serial: fmt.Sprintf("soak/_/%032x", n), Login: account, PIN: pin, Secret: fmt.Sprintf("%032x", 7*n),
		K0: fmt.Sprintf("%032x", 3*n), K1: fmt.Sprintf("%032x", 5*n), Services: s.w.inwebo.ServiceIDs(),
		Tsync: 1_700_000_000,
	}
	err := s.w.inwebo.AddAccount(inwebosim.Account{Login: account, PIN: pin, Codes: []inwebosim.Code{{Value: account[:3] + account[4:] + "code"}}})
	if err = errors.Join(err, s.w.inwebo.PlantDevice(device)); err != nil {
		s.t.Error(err)
		return
	}
	drawn, _ := hex.DecodeString(device.Secret) // hex by construction
	err = s.w.core.OTP.Import(s.t.Context(), otp.Request{Account: otp.Account(account), Caller: "test"}, otp.ForeignDevice{
		Serial: ratchet.Serial(device.Serial), Identity: inwebo.Identity{ID: device.ID, LastSync: fmt.Sprint(device.Tsync)},
		Services: []inwebo.Service{{ID: device.Services[0], Name: "Cars"}},
		State: ratchet.State{
			Keys: ratchet.Keys{K0: secret.NewText(device.K0), K1: secret.NewText(device.K1)}, Secret: secret.NewBytes(drawn),
		},
	})
	s.explainNewDevice("import", account, err)
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

// explain counts an answer, and wants one that the kind of the caller or a trouble explains.
func (s *soak) explain(p *process, kind, account string, a answer) {
	told := fmt.Sprintf("%s: HTTP %d, code %d", kind, a.status, a.code)
	ok := slices.Contains(explained[kind], fmt.Sprintf("%d %d", a.status, a.code))
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
