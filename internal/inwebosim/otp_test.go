package inwebosim

import (
	"testing"
)

// TestEveryMovementVerifies walks all movements and all second rounds, with every hostile look on.
func TestEveryMovementVerifies(t *testing.T) {
	for _, ratchet := range ratchets() {
		for _, second := range secondRounds() {
			t.Run(string(ratchet)+"/"+string(second), func(t *testing.T) {
				s := with(t, func(k *Knobs) {
					k.Ratchet, k.SecondRound = ratchet, second
					k.EmptyFields, k.SecretsMove, k.Services, k.Secrets, k.ResyncEvery = true, true, 3, 3, 2
				})
				c := enrolled(t, s)
				for range 20 {
					mustVerify(t, s, c)
				}
				got := expectedState(t, s, c)
				if got.K0 != c.k0 || got.K1 != c.k1 || int(got.Step) != c.rounds || got.WrongPeak != 0 {
					t.Errorf("truth %+v does not fit a client with K0 %s, K1 %s after %d rounds", got, c.k0, c.k1, c.rounds)
				}
				if got.MaxFinalizesPerChallenge != 1 || got.Overlaps != 0 || got.Verified != 20 || got.StaleSyncs != 0 {
					t.Errorf("counters %+v of 20 clean conversations", got.Counters)
				}
			})
		}
	}
}
