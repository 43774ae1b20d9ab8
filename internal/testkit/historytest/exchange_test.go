package historytest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// matches are the requests of each exchange at the simulator.
var matches = map[inwebo.Exchange]inwebosim.Match{
	inwebo.ExchangeActivateSetup:    {Action: "ActionSetup", Mode: "activate"},
	inwebo.ExchangeActivateFinalize: {Action: "ActionFinalize", Mode: "activate"},
	inwebo.ExchangeMSFinalize:       {Action: "ActionFinalize", Mode: "ms"},
	inwebo.ExchangeOTPSetup:         {Action: "ActionSetup", Mode: "otp"},
	inwebo.ExchangeOTPFinalize:      {Action: "ActionFinalize", Mode: "otp"},
}

func isFinalize(name inwebo.Exchange) bool { return matches[name].Action == "ActionFinalize" }

// exchange makes one exchange with inWebo for a process.
func exchange[T any](ctx context.Context, p *process, name inwebo.Exchange, call func() (T, error)) (reply T, err error) {
	var none T
	if p.step() {
		return none, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrNetwork)
	}
	f, happens := p.next(exchanges)
	switch {
	case ctx.Err() != nil:
		return none, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrLate)
	case f.name == neverSent:
		return none, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrNetwork)
	case happens && f.simFault.Kind != "" && !(f.ofSetup && isFinalize(name)):
		n := f.simFault
		n.Match, n.Interval = matches[name], inwebosim.Duration(time.Millisecond)
		must(p.h.t, p.h.site.Plant(n))
	}
	reply, err = call()
	p.h.site.ClearFaults()
	var e *event
	if isFinalize(name) {
		e = p.finalized()
		e.isAccepted = err == nil && name == inwebo.ExchangeOTPFinalize
		e.isStep = err == nil && name != inwebo.ExchangeMSFinalize
	}
	if name == inwebo.ExchangeActivateFinalize {
		p.activates(ctx)
	}
	if p.step() {
		return none, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrNetwork)
	}
	switch f.name {
	case late:
		waitFor(ctx)
		return none, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrLate)
	case older:
		if isFinalize(name) {
			return none, p.unread(name, err)
		}
	}
	if e != nil && isRead(err) {
		p.hears(ctx, e)
	}
	return reply, err
}

// waitFor waits until the time of ctx is over.
func waitFor(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		time.Sleep(time.Until(deadline))
	}
}

// isRead reports whether a process knows from the answer whether its proof was wrong.
func isRead(err error) bool {
	refusal, refused := errors.AsType[*inwebo.Refusal](err)
	return err == nil || refused && refusal.Reason != ""
}

// unread is what a process makes of an answer that a newer one can read.
func (p *process) unread(name inwebo.Exchange, err error) error {
	p.h.mayLag()
	text := secret.NewBytes(p.h.site.lastAnswer())
	if refusal, refused := errors.AsType[*inwebo.Refusal](err); refused {
		return &inwebo.Refusal{Exchange: name, Reason: refusal.Reason, Unusable: text}
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.couldNotRead = true
	p.mu.Unlock()
	return &inwebo.Unreadable{Exchange: name, Answer: text, Accepted: true}
}

// activates notes an activation of a device whose row may have been deleted meanwhile: another account may have the device by now, and nothing
// tells it that inWebo has given the device new keys.
func (p *process) activates(ctx context.Context) {
	if p.lost() {
		account, _ := ctx.Value(accountKey{}).(otp.Account)
		p.h.mayLag()
		p.h.beginSilence(account)
	}
}

// accountKey is the key of the account in a context.
type accountKey struct{}

// hears notes that the process knows what came of a finalize.
func (p *process) hears(ctx context.Context, e *event) {
	account, _ := ctx.Value(accountKey{}).(otp.Account)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[account] = e
}

// ActivateSetup is as otp.Inwebo says.
func (p *process) ActivateSetup(ctx context.Context, code secret.Text) (inwebo.ActivateSetup, error) {
	return exchange(ctx, p, inwebo.ExchangeActivateSetup, func() (inwebo.ActivateSetup, error) { return p.client.ActivateSetup(ctx, code) })
}

// ActivateFinalize is as otp.Inwebo says.
func (p *process) ActivateFinalize(ctx context.Context, a inwebo.Activation) (inwebo.ActivateFinalize, error) {
	return exchange(ctx, p, inwebo.ExchangeActivateFinalize, func() (inwebo.ActivateFinalize, error) { return p.client.ActivateFinalize(ctx, a) })
}

// MSFinalize is as otp.Inwebo says.
func (p *process) MSFinalize(ctx context.Context, who inwebo.Identity, s []inwebo.ServiceSecret, proofs ratchet.Proofs) (inwebo.Finalized, error) {
	return exchange(ctx, p, inwebo.ExchangeMSFinalize, func() (inwebo.Finalized, error) { return p.client.MSFinalize(ctx, who, s, proofs) })
}

// OTPSetup is as otp.Inwebo says.
func (p *process) OTPSetup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error) {
	return exchange(ctx, p, inwebo.ExchangeOTPSetup, func() (inwebo.Challenge, error) { return p.client.OTPSetup(ctx, who, sid) })
}

// OTPFinalize is as otp.Inwebo says.
func (p *process) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, proofs ratchet.Proofs) (inwebo.OTPFinalize, error) {
	return exchange(ctx, p, inwebo.ExchangeOTPFinalize, func() (inwebo.OTPFinalize, error) { return p.client.OTPFinalize(ctx, who, sid, proofs) })
}
