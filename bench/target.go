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

// target is one of the two that are compared: a service, and those who call it.
type target struct {
	name    string
	process *process
	count   func(context.Context) (counted, error)
	profile profile
	hot     bool // nine of ten calls go to one account of a hundred

	callers []*caller
	random  []*rand.Rand // of each caller
	total   int          // OTPs that it has given
}

// pimsdTarget is a pimsd with callers.
func (l *env) pimsdTarget(ctx context.Context, name, program string, s *dataset, callers int) (*target, error) {
	v, err := l.serve(ctx, program, s)
	if err != nil {
		return nil, err
	}
	d := &target{name: name, process: v.process, profile: s.profile, count: func(ctx context.Context) (counted, error) {
		c, err := v.count(ctx)
		if err == nil && s.server != nil {
			err = s.server.count(ctx, s.name, &c)
		}
		return c, err
	}}
	return d.addCallers(v.api, s.key, callers), nil
}

// baselineTarget is the baseline with callers.
func (l *env) baselineTarget(ctx context.Context, accounts, callers int) (*target, error) {
	f := l.newProfile(accounts)
	if err := l.inwebo.plant(f); err != nil {
		return nil, err
	}
	p, err := l.start(ctx, "baseline", nil, l.self, roleBaseline)
	if err != nil {
		return nil, err
	}
	order := baselineOrder{
		Inwebo: l.inwebo.addresses.Protocol, Journal: filepath.Join(l.scratch, fmt.Sprintf("journal-%d", l.started)),
		Write: l.model.write, Profile: f,
	}
	if err := json.NewEncoder(p.stdin).Encode(order); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	var address string
	if err := json.NewDecoder(p.stdout).Decode(&address); err != nil {
		return nil, errors.Join(fmt.Errorf("the baseline does not start: %w", err), p.stop())
	}
	d := &target{name: "baseline", process: p, profile: f, count: func(ctx context.Context) (c counted, err error) {
		return c, call(ctx, http.MethodGet, "http://"+address+"/allocations", nil, readJSON(&c.allocations))
	}}
	return d.addCallers(address, "pims_unused", callers), nil
}

// addCallers returns the side its callers.
func (d *target) addCallers(address, key string, callers int) *target {
	for i := range callers {
		d.callers = append(d.callers, newCaller(address, key))
		d.random = append(d.random, rand.New(rand.NewPCG(1, uint64(i)))) //nolint:gosec // which account is next is no secret
	}
	return d
}

func (d *target) close() error {
	for _, c := range d.callers {
		c.close()
	}
	return d.process.stop()
}

// account picks the next account of a caller, out of those that are its own: no two callers meet in one.
func (d *target) account(caller int) string {
	random, own := d.random[caller], d.profile.Count/len(d.callers)
	if d.hot && random.IntN(10) > 0 {
		own = max(1, own/100)
	}
	return d.profile.account(caller + len(d.callers)*random.IntN(own))
}

// run has the callers ask for n OTPs, each for the next as soon as it has the one before. It gives how long each took, and
// all of them together.
func (d *target) run(ctx context.Context, n int) (took []time.Duration, together time.Duration, err error) {
	each := n / len(d.callers)
	took = make([]time.Duration, each*len(d.callers))
	errs := make([]error, len(d.callers))
	var all sync.WaitGroup
	began := time.Now()
	for i, c := range d.callers {
		all.Go(func() {
			for j := range each {
				if took[i*each+j], errs[i] = c.issueOTP(ctx, d.account(i)); errs[i] != nil {
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
