package historytest

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/otp"
)

// verb is something that callers, operators or time do.
type verb struct {
	name   string
	calls  []string // the methods of otp.Service that it drives
	weight int
	draw   func(t *rapid.T, o *op)
	run    func(h *harness, p *process, o op)
	// isIdle: no process does anything for it, so that no trouble can befall it.
	isIdle bool
	// byOperator: it needs all processes to be awake, because what a sleeper may yet do would be charged to the operator.
	byOperator bool
	// forgets: afterwards the store may know less than inWebo.
	forgets bool
}

// verbs are all of them.
func verbs() []verb {
	return []verb{
		{name: "otp", weight: 8, calls: []string{"IssueOTP"}, run: (*harness).issueAlone},
		{name: "crowd", weight: 2, calls: []string{"IssueOTP"}, run: (*harness).crowd, draw: func(t *rapid.T, o *op) {
			o.Crowd = rapid.SliceOfN(rapid.Bool(), 2, 4).Draw(t, "crowd")
		}},
		{name: "repeat", weight: 3, calls: []string{"IssueOTP"}, run: (*harness).repeat},
		{name: "enroll", weight: 3, calls: []string{"Enroll"}, run: (*harness).enroll, forgets: true},
		{name: "has PIN", weight: 1, calls: []string{"HasPIN"}, run: (*harness).askForPIN},
		{name: "import", weight: 2, calls: []string{"Import"}, run: (*harness).importDevice, forgets: true},
		{name: "forget", weight: 1, calls: []string{"Forget"}, run: (*harness).forget},
		{name: "forget disabled", weight: 1, calls: []string{"ForgetDisabled"}, run: (*harness).forgetDisabled},
		{
			name: "forget transferred", weight: 1, calls: []string{"ForgetTransferred"},
			run: (*harness).forgetTransferred,
		},
		{name: "disable", weight: 1, calls: []string{"Disable"}, run: (*harness).disable},
		{name: "enable", weight: 2, calls: []string{"Enable"}, run: (*harness).enable},
		{name: "unlock", weight: 1, calls: []string{"Unlock"}, run: (*harness).unlock, byOperator: true},
		{name: "clear quota", weight: 1, calls: []string{"ClearQuota"}, run: (*harness).clearQuota, byOperator: true},
		{name: "count activations", weight: 1, calls: []string{"CountActivations"}, run: (*harness).countActivations, byOperator: true},
		{name: "doubt", weight: 1, calls: []string{"Doubt"}, run: (*harness).doubt},
		{name: "reread", weight: 2, calls: []string{"Reread"}, run: (*harness).reread},
		{name: "rotate seal", weight: 1, run: (*harness).rotate},
		{name: "restart", weight: 1, calls: []string{"Refuse", "Drain"}, run: (*harness).restart},

		{name: "restore row", weight: 1, run: (*harness).restore, isIdle: true, forgets: true},
		{name: "delete row", weight: 1, run: (*harness).remove, isIdle: true, forgets: true},
		{name: "wake", weight: 2, run: func(h *harness, _ *process, _ op) { h.wakeAll() }, isIdle: true},
		{name: "time passes", weight: 3, run: func(h *harness, _ *process, o op) { h.pass(o.Time) }, isIdle: true, draw: func(t *rapid.T, o *op) {
			o.Time = rapid.SampledFrom([]time.Duration{
				time.Second, 6 * time.Second, 20 * time.Second, 5 * time.Minute, 16 * time.Minute, 5 * time.Hour, 25 * time.Hour,
			}).Draw(t, "time")
		}},
		{name: "clock jumps", weight: 2, run: (*harness).leap, isIdle: true, byOperator: true, draw: func(t *rapid.T, o *op) {
			const year = 365 * 24 * time.Hour
			o.Time = rapid.SampledFrom([]time.Duration{
				-10 * time.Minute, -time.Second, time.Second, time.Hour, 10 * year, -10 * year,
			}).Draw(t, "time")
		}},
	}
}

// onlyRead are the methods of otp.Service that change nothing; every history reads.
var onlyRead = []string{"Status", "StatusOf", "LastDeadline", "CheckEnroll", "CheckImport", "Inspect"}

// weighed has the names of the verbs, each as often as it weighs.
var weighed = func() (names []string) {
	for _, v := range verbs() {
		names = append(names, slices.Repeat([]string{v.name}, v.weight)...)
	}
	return names
}()

func verbOf(name string) verb {
	return verbs()[slices.IndexFunc(verbs(), func(v verb) bool { return v.name == name })]
}

func TestEveryVerbIsDriven(t *testing.T) {
	t.Parallel()
	driven := slices.Clone(onlyRead)
	for _, v := range verbs() {
		driven = append(driven, v.calls...)
	}
	service := reflect.TypeFor[*otp.Service]()
	for method := range service.Methods() {
		if name := method.Name; !slices.Contains(driven, name) {
			t.Errorf("otp.Service.%s is driven by no history: add a verb, or name it among those that only read", name)
		}
	}
	for _, name := range driven {
		if _, exists := service.MethodByName(name); !exists {
			t.Errorf("otp.Service has no %s any more", name)
		}
	}
}

// happen lets a verb happen with its troubles.
func (h *harness) happen(o op) {
	v, p := verbOf(o.Verb), h.processes[o.Process]
	sleeps := h.sleeps(p)
	if sleeps && !v.isIdle || h.anySleeps() && v.byOperator {
		return // a process that sleeps does nothing else
	}
	for _, account := range h.accounts {
		if row := h.store.snapshot(h.t, account); row != nil {
			h.snapshots[account] = append(h.snapshots[account], row)
		}
	}
	if v.isIdle {
		v.run(h, p, o)
		return
	}
	stopped := p.plan(o)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		v.run(h, p, o)
	}()
	select {
	case <-returned:
	case <-stopped:
	}
	if len(o.Troubles) > 0 {
		h.comeToRest(p, returned)
		h.expectUnread(p, o)
	}
	if o.Time > 0 && !h.anySleeps() {
		h.pass(o.Time)
	}
}

// comeToRest lets a process end what it does behind its callers' backs, unless it has fallen asleep, and replaces it if it has
// died. Its verb is over when returned is closed.
func (h *harness) comeToRest(p *process, returned chan struct{}) {
	h.store.heal(h.t)
	time.Sleep(settleTime)
	if !p.calm() {
		h.mu.Lock()
		others := maps.Clone(h.asleep)
		h.asleep[p] = returned
		h.mu.Unlock()
		for other := range others { // with which it wakes
			other.crowd()
			p.crowd()
			if other.lost() {
				p.meetLost()
			}
		}
		return
	}
	h.background.Wait()
	if !p.dead() {
		return
	}
	p.close()
	h.mayLag()
	h.processes[slices.Index(h.processes, p)] = newProcess(h)
}

// settleTime is what a process may need to settle in the background once its store works.
const settleTime = 4 * time.Second

// wakeAll wakes all processes before it waits for one of them: a crowd that one of them is a part of may need another one.
func (h *harness) wakeAll() {
	h.mu.Lock()
	asleep := h.asleep
	h.asleep = map[*process]chan struct{}{}
	h.mu.Unlock()
	processes := slices.DeleteFunc(slices.Clone(h.processes), func(p *process) bool { return asleep[p] == nil })
	for _, p := range processes {
		p.wakeUp()
	}
	for _, p := range processes {
		<-asleep[p]
		h.comeToRest(p, asleep[p])
	}
}

// anySleeps reports whether a process is asleep.
func (h *harness) anySleeps() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.asleep) > 0
}

// sleeps reports whether the process is asleep.
func (h *harness) sleeps(p *process) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, sleeps := h.asleep[p]
	return sleeps
}
