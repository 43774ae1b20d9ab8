package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"
)

// side is one of the two that are compared: a service, and those who call it.
type side struct {
	name    string
	process *process
	count   func(context.Context) (counted, error)
	fleet   fleet
	hot     bool // nine of ten calls go to one account of a hundred

	callers []*caller
	random  []*rand.Rand // of each caller
	total   int          // OTPs that it has given
}

// pimsdSide is a pimsd with callers.
func (l *lab) pimsdSide(ctx context.Context, name, program string, s *stock, callers int) (*side, error) {
	v, err := l.serve(ctx, program, s)
	if err != nil {
		return nil, err
	}
	d := &side{name: name, process: v.process, count: v.count, fleet: s.fleet}
	return d.called(v.api, s.key, callers), nil
}

// floorSide is the floor with callers.
func (l *lab) floorSide(ctx context.Context, accounts, callers int) (*side, error) {
	f := l.newFleet(accounts)
	if err := l.inwebo.plant(f); err != nil {
		return nil, err
	}
	p, err := l.start(ctx, "floor", nil, l.self, roleFloor)
	if err != nil {
		return nil, err
	}
	order := floorOrder{
		Inwebo: l.inwebo.doors.Protocol, Journal: filepath.Join(l.scratch, fmt.Sprintf("journal-%d", l.started)),
		Intent: l.model.intent, Result: l.model.result, Fleet: f,
	}
	if err := json.NewEncoder(p.stdin).Encode(order); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	var address string
	if err := json.NewDecoder(p.stdout).Decode(&address); err != nil {
		return nil, errors.Join(fmt.Errorf("the floor does not start: %w", err), p.stop())
	}
	d := &side{name: "floor", process: p, fleet: f, count: func(ctx context.Context) (c counted, err error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/allocations", nil)
		if err != nil {
			return c, err
		}
		return c, call(request, &c.allocations)
	}}
	return d.called(address, "pims_unused", callers), nil
}

// called returns the side its callers.
func (d *side) called(address, key string, callers int) *side {
	for i := range callers {
		d.callers = append(d.callers, newCaller(address, key))
		d.random = append(d.random, rand.New(rand.NewPCG(1, uint64(i)))) //nolint:gosec // which account is next is no secret
	}
	return d
}

func (d *side) close() error {
	for _, c := range d.callers {
		c.close()
	}
	return d.process.stop()
}

// account picks the next account of a caller, out of those that are its own: no two callers meet in one.
func (d *side) account(caller int) string {
	random, own := d.random[caller], d.fleet.Count/len(d.callers)
	if d.hot && random.IntN(10) > 0 {
		own = max(1, own/100)
	}
	return d.fleet.account(caller + len(d.callers)*random.IntN(own))
}

// turn has the callers ask for n OTPs, each for the next as soon as it has the one before. It gives how long each took, and
// all of them together.
func (d *side) turn(ctx context.Context, n int) (took []time.Duration, together time.Duration, err error) {
	each := n / len(d.callers)
	took = make([]time.Duration, each*len(d.callers))
	errs := make([]error, len(d.callers))
	var all sync.WaitGroup
	began := time.Now()
	for i, c := range d.callers {
		all.Go(func() {
			for j := range each {
				if took[i*each+j], errs[i] = c.ask(ctx, d.account(i)); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	d.total += len(took)
	if err := errors.Join(errs...); err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s", d.name, err, d.process.lastWords())
	}
	return took, time.Since(began), nil
}
