package inwebosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxControlBody bounds what the control listener reads.
const maxControlBody = 1 << 20

// controlRoute is one call: its pattern, what it does in a few words, and the doing. A nil value is 204.
type controlRoute struct {
	pattern, help string
	do            func(*http.Request) (any, error)
}

// controlRoutes are the methods of Simulator that the control listener offers.
func (s *Simulator) controlRoutes() []controlRoute {
	tell := func(value func() any) func(*http.Request) (any, error) {
		return func(*http.Request) (any, error) { return value(), nil }
	}
	act := func(do func()) func(*http.Request) (any, error) {
		return func(*http.Request) (any, error) { do(); return nil, nil }
	}
	device := func(do func(id string) error) func(*http.Request) (any, error) {
		return func(r *http.Request) (any, error) { return nil, do(r.PathValue("id")) }
	}
	expected := func(r *http.Request) (any, error) { return s.DeviceState(r.PathValue("id")) }
	export := func(r *http.Request) (any, error) { return s.Export(r.PathValue("id")) }
	return []controlRoute{
		{"GET /knobs", "how the service behaves", tell(func() any { return s.Knobs() })},
		{"PATCH /knobs", "change the knobs that are named", s.controlPatchKnobs},
		{"GET /faults", "those not used up", tell(func() any { return s.Planted() })},
		{"POST /faults", "plant one", posted(func(n Fault) error { return s.Plant(n) })},
		{"DELETE /faults", "remove all", act(s.ClearFaults)},
		{"GET /forms", "the odd forms that a fault of kind form can name", tell(func() any { return OddForms() })},
		{"GET /history", "requests; ?action= ?mode= ?id= ?after=NUMBER", s.controlHistory},
		{"GET /totals", "the tallies of all devices together", tell(func() any { return s.Totals() })},
		{"POST /accounts", "add an account, or SMS codes to one", posted(s.AddAccount)},
		{"GET /accounts/{login}", "its state", func(r *http.Request) (any, error) { return s.AccountState(r.PathValue("login")) }},
		{"POST /accounts/{login}/unblock", "forgive its wrong PINs", func(r *http.Request) (any, error) {
			return nil, s.UnblockAccount(r.PathValue("login"))
		}},
		{"GET /devices", "ids", tell(func() any { return s.DeviceIDs() })},
		{"POST /devices", "plant a device", posted(s.PlantDevice)},
		{"GET /devices/{id}", "its state", expected},
		{"GET /devices/{id}/export", "in the form that POST /devices takes", export},
		{"PATCH /devices/{id}", "its own ratchet and second-round", s.controlOverride},
		{"POST /devices/{id}/block", "NOK:NOK_BLOCKED from now on", device(s.Block)},
		{"POST /devices/{id}/unblock", "no longer", device(s.Unblock)},
		{"DELETE /devices/{id}", "NOK:NODEVICE from now on", device(s.Forget)},
	}
}

// controlHandler serves the routes, and at / what they are.
func (s *Simulator) controlHandler() http.Handler {
	mux := http.NewServeMux()
	var help strings.Builder
	help.WriteString("The control listener of the inWebo simulator. Everything is JSON.\n\n")
	for _, route := range s.controlRoutes() {
		mux.Handle(route.pattern, controlCall(route.do))
		fmt.Fprintf(&help, "%-28s %s\n", route.pattern, route.help)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		send(w, "text/plain; charset=utf-8", []byte(help.String()))
	})
	return mux
}

// controlCall answers with the value as JSON, 204 for nil, 404 for an unknown device or account, and 400 with
// {"error":…} for any other fault.
func controlCall(do func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
		value, err := do(r)
		status := http.StatusOK
		switch {
		case errors.Is(err, ErrUnknownDevice), errors.Is(err, ErrUnknownAccount):
			status = http.StatusNotFound
		case err != nil:
			status = http.StatusBadRequest
		case value == nil:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err != nil {
			value = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	})
}

// posted hands the body to do.
func posted[T any](do func(T) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var value T
		if err := readJSON(r, &value); err != nil {
			return nil, err
		}
		return nil, do(value)
	}
}

func (s *Simulator) controlPatchKnobs(r *http.Request) (any, error) {
	knobs := s.Knobs()
	if err := readJSON(r, &knobs); err != nil {
		return nil, err
	}
	return knobs, s.SetKnobs(knobs)
}

func (s *Simulator) controlHistory(r *http.Request) (any, error) {
	q := r.URL.Query()
	var after uint64
	if text := q.Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fmt.Errorf("after must be the number of a request: %w", err)
		}
	}
	return s.history.list(Match{Action: q.Get("action"), Mode: q.Get("mode"), ID: q.Get("id")}, after), nil
}

func (s *Simulator) controlOverride(r *http.Request) (any, error) {
	id := r.PathValue("id")
	device, err := s.Export(id)
	if err != nil {
		return nil, err
	}
	own := device.Override
	if err := readJSON(r, &own); err != nil {
		return nil, err
	}
	return nil, s.SetOverride(id, own)
}

// readJSON reads one value, and refuses unknown names and anything behind it.
func readJSON(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the body is not the JSON that this call takes: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body goes on behind its JSON value")
	}
	return nil
}
