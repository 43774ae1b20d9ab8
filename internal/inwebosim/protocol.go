package inwebosim

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
)

// Handler is the protocol listener without its listener, for a test that brings its own (TLS, say).
func (s *Simulator) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /iwws/MAC", s.serveMAC)
	mux.HandleFunc("GET /iwcxf/MAC", s.serveMAC)
	mux.HandleFunc("GET /FS", s.serveFS)
	return s.gate.guard(mux)
}

// serveMAC takes one request of the mAccess protocol through everything that can happen to it.
func (s *Simulator) serveMAC(w http.ResponseWriter, r *http.Request) {
	p, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		http.Error(w, "The query is not form-encoded.", http.StatusBadRequest)
		return
	}
	x := s.newExchange(r, p)
	turn := s.received(x)
	n := s.faults.inject(x, turn)
	x.Fault = n.Kind
	s.history.begin(x)

	hooks := s.hooks.Load()
	if hooks.Before != nil {
		hooks.Before(*x)
	}
	if !s.wait(n.Delay) {
		panic(http.ErrAbortHandler)
	}
	ans := answer{root: rootOf(x.Action)}
	var moved movement
	isProcessed := n.processes()
	if isProcessed {
		ans, moved = s.process(s.knobsFor(&n), p)
	}
	moved.isCarried = carriesKeys(ans)
	ans = n.alter(ans)
	s.history.finish(x, n.outcome(ans), isProcessed, false)
	if hooks.After != nil {
		hooks.After(*x)
	}
	if !s.wait(n.Hold) {
		panic(http.ErrAbortHandler)
	}
	s.history.finish(x, n.outcome(ans), isProcessed, n.isWhole(ans))
	if n.keepsStep(ans) {
		moved.acknowledge()
	}
	s.deliver(w, r, &n, ans)
}

// outcome is what the history says of an answer.
func (n *Fault) outcome(ans answer) string {
	if n.Kind == KindStatus {
		return "HTTP " + strconv.Itoa(n.Status)
	}
	return ans.get("err")
}

func (s *Simulator) newExchange(r *http.Request, p url.Values) *Exchange {
	return &Exchange{
		Time: s.now(), Path: r.URL.Path, Action: p.Get("action"), Mode: p.Get("mode"), ID: p.Get("id"),
		Params: p, Header: r.Header, Conn: r.RemoteAddr,
	}
}

// received counts the request with its device, whatever becomes of it, and returns its turn there.
func (s *Simulator) received(x *Exchange) uint64 {
	if d := s.registry.find(x.ID); d != nil {
		return uint64(d.receive(x.Action, x.Params.Get("lastsync")))
	}
	return s.unknownDevices.Add(1)
}

// rootOf is the root element of the answer to an action.
func rootOf(action string) string {
	if action == actionFinalize {
		return actionFinalize
	}
	return actionSetup
}

// knobsFor returns the knobs for one request, turned so that its answer has what the fault is about.
func (s *Simulator) knobsFor(n *Fault) *Knobs {
	k := s.knobs.Load()
	if !n.form().needsServices {
		return k
	}
	turned := *k
	turned.ResyncEvery = 1
	return &turned
}

// process is the service itself: one request in, one answer out, and the keys of the device as they stand after it.
func (s *Simulator) process(k *Knobs, p url.Values) (answer, movement) {
	action, mode := p.Get("action"), p.Get("mode")
	switch {
	case !hasOperation(action, mode), k.StrictParameters && !wellFormed(p):
		return refuse(rootOf(action), errSyntax), movement{}
	case mode == modeActivate && action == actionSetup:
		return s.setupActivate(k, p), movement{}
	case mode == modeActivate:
		return s.finalizeActivate(k, p)
	}
	d := s.registry.find(p.Get("id"))
	if d == nil {
		return refuse(action, errNoDevice), movement{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case action == actionSetup:
		return s.setupOTP(k, d, p), movement{}
	case mode == modeMS:
		return s.finalizeMS(k, d, p), d.movement()
	default:
		return s.finalizeOTP(k, d, p), d.movement()
	}
}

// arranged returns an accepted answer the looks that the knobs ask for.
func (s *Simulator) arranged(k *Knobs, rng *rand.PCG, ans answer) answer {
	if k.EmptyFields && ans.root == actionFinalize {
		for _, name := range []string{"K0", "K1", "dK1", "J", "s_n", "Tsync"} {
			if !ans.has(name) {
				ans.fields = append(ans.fields, Field{name, ""})
			}
		}
	}
	if k.Shuffle {
		ans.shuffle(rng)
	}
	return ans
}
