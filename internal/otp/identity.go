package otp

import (
	"cmp"
	"context"
	"slices"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// A device's identity is its serial. What was counted of it, wrong PINs, OTPs and SMS activations, belongs to the identity as
// well as to the account: inWebo counts by the device, whatever it is called here.

// maxSerial is the longest serial that a store claims, in bytes.
const maxSerial = 256

// inherited is r, which is about to get the device of that serial, with what is counted of the device by the account that
// had it last. ErrDeviceTaken means that an account has it now.
func (s *Service) inherited(ctx context.Context, r Record, serial ratchet.Serial) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limits.StoreTimeout)
	defer cancel()
	rows, err := s.store.BySerial(ctx, string(serial))
	if err != nil {
		return r, because(ErrStore, err)
	}
	var last Record
	for _, row := range rows {
		other := row.Account != r.Account
		if other && row.Claim.Active {
			return r, ErrDeviceTaken
		}
		// A record that cannot be read has nothing to inherit, and must not keep the device from being used.
		if before, err := decodeBody(row); err == nil && other && before.Tenure >= last.Tenure {
			last = before
		}
	}
	switch {
	case r.Serial == serial && r.Tenure > last.Tenure: // this account had it last
		last = Record{Tenure: r.Tenure}
	case r.Serial == serial && last.Tenure > r.Tenure: // what it had counted went to the other account, which may have ended it
		r.Guard, r.Quota = Guard{}, Quota{}
	}
	r.Guard, r.Quota = r.Guard.joined(last.Guard), r.Quota.joined(last.Quota)
	r.Activations = max(r.Activations, last.Activations)
	r.Tenure = last.Tenure + 1
	return r, nil
}

// joined is what two accounts have counted of one device.
func (g Guard) joined(other Guard) Guard {
	g.Wrong = max(g.Wrong, other.Wrong)
	if other.WrongAt.After(g.WrongAt) {
		g.WrongAt = other.WrongAt
	}
	g.Guesses = union(g.Guesses, other.Guesses, func(a, b Guess) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Conversation, b.Conversation))
	})
	return g
}

func (q Quota) joined(other Quota) Quota {
	return Quota{union(q.Units, other.Units, func(a, b Unit) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Conversation, b.Conversation))
	})}
}

// union returns the elements of both in the order of compare, each once.
func union[T any](a, b []T, compare func(T, T) int) []T {
	both := slices.Concat(a, b)
	slices.SortFunc(both, compare)
	return slices.CompactFunc(both, func(a, b T) bool { return compare(a, b) == 0 })
}
