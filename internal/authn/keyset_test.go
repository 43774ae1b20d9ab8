package authn_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// expectRequests fails unless so many fetches have been made since the network was there.
func expectRequests(t *testing.T, network *internet, want int) {
	t.Helper()
	synctest.Wait()
	if got := network.requests(t); got != want {
		t.Errorf("there were %d fetches, want %d", got, want)
	}
}

// bubble runs a test in a time of its own, with an authenticator whose keys are the network's.
func bubble(t *testing.T, test func(t *testing.T, network *internet, tokens *authn.Tokens)) {
	t.Helper()
	t.Parallel()
	rsaKey() // made outside, since it must not belong to the bubble
	shortKey()
	synctest.Test(t, func(t *testing.T) {
		network := newInternet()
		test(t, network, newTokens(t, network))
	})
}

func TestKeysAreFetchedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectRequests(t, network, 0)
		for range 3 {
			expectTaken(t, tokens, good(time.Now(), "ed"))
		}
		expectRequests(t, network, 1)
	})
}

// A token that does not say which of several keys it is signed with cannot make pimsd fetch them again.
func TestATokenWithoutAKidFetchesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		time.Sleep(time.Minute)
		withoutKid := sign(header("EdDSA", "").but("kid", nil), claimsAt(time.Now()), edKey())
		if _, err := authenticate(t.Context(), tokens, withoutKid); authn.ReasonOf(err) != authn.ReasonNoKeyID {
			t.Errorf("%v", err)
		}
		expectRequests(t, network, 1)
	})
}

func TestWarmFetchesAllKeys(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		network.set(func(n *internet) { n.delay = 2 * time.Second })
		began := time.Now()
		if err := tokens.Warm(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("two issuers took %v, want both at once in 2s", took)
		}
		expectTaken(t, tokens, good(time.Now(), "ed"))
		expectRequests(t, network, 2)
	})
}

func TestWarmNamesWhoIsOutOfReach(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		network.set(func(n *internet) { delete(n.keys, partsJWKS) })
		err := tokens.Warm(t.Context())
		const want = "issuer parts: the keys of the token's issuer are out of reach: fetch the JWKS: no route to host; try again in 10s"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		expectTaken(t, tokens, good(time.Now(), "ed"))
	})
}

func TestKeysAreRefreshedBesideTheirUse(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		time.Sleep(15*time.Minute - 1)
		expectTaken(t, tokens, good(time.Now(), "ed"))
		expectRequests(t, network, 1)

		time.Sleep(time.Nanosecond)
		network.set(func(n *internet) {
			n.delay = time.Second
			n.keys[loginJWKS] = without(n.keys[loginJWKS], "ed")
		})
		began := time.Now()
		for range 3 {
			expectTaken(t, tokens, good(time.Now(), "ed")) // with the old keys, and without waiting
		}
		if time.Since(began) != 0 {
			t.Error("a caller waited for the refresh")
		}
		expectRequests(t, network, 2)
		time.Sleep(time.Second)
		synctest.Wait()
		expectRefused(t, tokens, good(time.Now(), "ed")) // withdrawn
	})
}

func TestANewKeyIsLookedFor(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		network.set(func(n *internet) { n.keys[loginJWKS] = append(n.keys[loginJWKS], published("next", edKey().Public())) })
		expectTaken(t, tokens, good(time.Now(), "next"))
		expectRequests(t, network, 2)
	})
}

// However many tokens come with an unknown kid, they cause a fetch every three seconds.
func TestUnknownKeysCauseFewFetches(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		began := time.Now()
		var strangers sync.WaitGroup
		for i := range 60 * 10 { // ten tokens a second, for a minute
			strangers.Go(func() { expectRefused(t, tokens, good(time.Now(), fmt.Sprint("kid-", i))) })
			time.Sleep(100 * time.Millisecond)
		}
		strangers.Wait()
		if fetches := network.requests(t); fetches > 2+int(time.Since(began)/(3*time.Second)) {
			t.Errorf("there were %d fetches in %v", fetches, time.Since(began))
		}
	})
}

// A kid is unknown as soon as one fetch has not brought it that began after the token came, however slow the issuer is.
func TestAnUnknownKeyIsWaitedForOnce(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		time.Sleep(time.Minute)
		network.set(func(n *internet) { n.delay = 4 * time.Second }) // by then, the next fetch may start
		began := time.Now()
		expectRefused(t, tokens, good(began, "gone"))
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
		expectRequests(t, network, 1+1)
	})
}

// A stranger with an unknown kid does not keep the tokens out that the issuer signs with a new key from now on.
func TestAStrangerDoesNotDelayANewKey(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		for round := range 20 {
			stranger := good(time.Now(), fmt.Sprint("junk-", round))
			expectRefused(t, tokens, stranger[:len(stranger)-8]+"AAAAAAAA")
			next := fmt.Sprint("next-", round)
			network.set(func(n *internet) { n.keys[loginJWKS] = append(n.keys[loginJWKS], published(next, edKey().Public())) })
			began := time.Now()
			expectTaken(t, tokens, good(time.Now(), next))
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("the first token with a new key took %v", took)
			}
			time.Sleep(time.Duration(round) * 317 * time.Millisecond)
		}
	})
}

// Tokens beyond those that may wait are told to come again; the others are not held up by them.
func TestFewWaitForKeys(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		network.set(func(n *internet) { n.delay = 4 * time.Second })
		time.Sleep(time.Minute)
		var strangers sync.WaitGroup
		var told, refused atomic.Int32
		for i := range 100 {
			strangers.Go(func() {
				switch _, err := authenticate(t.Context(), tokens, good(time.Now(), fmt.Sprint("kid-", i))); {
				case errors.Is(err, authn.ErrUnauthenticated):
					refused.Add(1)
				case errors.Is(err, authn.ErrKeysUnavailable):
					told.Add(1)
				default:
					t.Errorf("a stranger: %v", err)
				}
			})
		}
		synctest.Wait()
		if now := told.Load(); now < 100-64 {
			t.Errorf("%d of 100 were told to come again at once: more than 64 wait", now)
		}
		began := time.Now()
		expectTaken(t, tokens, good(time.Now(), "ed"))
		if took := time.Since(began); took != 0 {
			t.Errorf("a token with a known key took %v", took)
		}
		strangers.Wait()
		// At most the one that started the fetch has seen the whole of it; the others that wait would need another one.
		if told.Load()+refused.Load() != 100 || refused.Load() > 1 {
			t.Errorf("%d were told to come again and %d refused", told.Load(), refused.Load())
		}
	})
}

// A wall clock that was ahead while keys were fetched binds nothing when it is right again.
func TestTheWallClockDecidesNothingAboutKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network, ahead := newInternet(), time.Duration(0)
		clock := func() time.Time { return time.Now().Add(ahead).Round(0) }
		tokens := newTokens(t, network, func(c *authn.TokenConfig) { c.Now = clock })
		const decade = 10 * 365 * 24 * time.Hour
		ahead = decade
		expectRefused(t, tokens, good(time.Now(), "ed")) // it has expired, by that clock
		expectTaken(t, tokens, good(clock(), "ed"))
		ahead = 0
		expectTaken(t, tokens, good(time.Now(), "ed"))
		network.set(func(n *internet) { n.keys[loginJWKS] = append(n.keys[loginJWKS], published("next", edKey().Public())) })
		expectTaken(t, tokens, good(time.Now(), "next"))
		time.Sleep(15 * time.Minute)
		network.set(func(n *internet) { n.keys[loginJWKS] = without(n.keys[loginJWKS], "ed") })
		expectTaken(t, tokens, good(time.Now(), "ed")) // and it causes a refresh
		synctest.Wait()
		expectRefused(t, tokens, good(time.Now(), "ed"))
		ahead = -decade
		expectTaken(t, tokens, good(clock(), "next"))
	})
}

func TestManyUnknownKeysAtOnceCauseTwoFetches(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		time.Sleep(time.Minute)
		network.set(func(n *internet) {
			n.delay = time.Second
			n.keys[loginJWKS] = append(n.keys[loginJWKS], published("next", edKey().Public()))
		})
		var callers sync.WaitGroup
		for i := range 64 {
			callers.Go(func() {
				if i%2 == 0 {
					expectTaken(t, tokens, good(time.Now(), "next"))
				} else {
					expectRefused(t, tokens, good(time.Now(), fmt.Sprint("kid-", i)))
				}
			})
		}
		callers.Wait()
		expectRequests(t, network, 1+2) // the second for those that came when the first had begun
	})
}

func TestATokenThatIsBadAnywayFetchesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		now := time.Now()
		expectRefused(t, tokens, sign(header("EdDSA", "gone"), claimsAt(now).but("aud", "other"), edKey()))
		expectRefused(t, tokens, sign(header("EdDSA", "gone"), claimsAt(now.Add(-2*time.Hour)), edKey()))
		expectRequests(t, network, 0)
	})
}

func TestAFailedRefreshKeepsTheKeysForADay(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		network.set(func(n *internet) { n.err = errors.New("connection refused") })
		for range 95 { // a token each quarter of an hour, and its refresh fails
			time.Sleep(15 * time.Minute)
			expectTaken(t, tokens, good(time.Now(), "ed"))
		}
		expectRequests(t, network, 1+95)
		time.Sleep(15 * time.Minute)
		_, err := authenticate(t.Context(), tokens, good(time.Now(), "ed"))
		expectWait(t, err, 10*time.Second)

		network.set(func(n *internet) { n.err = nil })
		time.Sleep(10 * time.Second)
		expectTaken(t, tokens, good(time.Now(), "ed"))
	})
}

func TestKeysOutOfReachAreTriedAgainAfterTheWait(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		network.set(func(n *internet) { n.err = errors.New("connection refused") })
		_, err := authenticate(t.Context(), tokens, good(time.Now(), "ed"))
		expectWait(t, err, 10*time.Second)
		time.Sleep(4 * time.Second)
		_, err = authenticate(t.Context(), tokens, good(time.Now(), "ed"))
		expectWait(t, err, 6*time.Second)
		time.Sleep(6*time.Second - 1)
		_, err = authenticate(t.Context(), tokens, good(time.Now(), "ed"))
		expectWait(t, err, time.Second) // never less
		expectRequests(t, network, 1)

		network.set(func(n *internet) { n.err = nil })
		time.Sleep(time.Nanosecond)
		expectTaken(t, tokens, good(time.Now(), "ed"))
	})
}

// A kid that is not known may be that of a new key, as long as the issuer could not be asked.
func TestAnUnknownKeyOfAnIssuerOutOfReachCannotBeJudged(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		network.set(func(n *internet) { n.err = errors.New("connection refused") })
		_, err := authenticate(t.Context(), tokens, good(time.Now(), "next"))
		expectWait(t, err, 10*time.Second)
		expectTaken(t, tokens, good(time.Now(), "ed"))
		expectRefused(t, tokens, sign(header("EdDSA", "ed"), claimsAt(time.Now()), otherKey()))

		time.Sleep(4 * time.Second)
		_, err = authenticate(t.Context(), tokens, good(time.Now(), "next"))
		expectWait(t, err, 6*time.Second)
		expectRequests(t, network, 2)

		network.set(func(n *internet) {
			n.err = nil
			n.keys[loginJWKS] = append(n.keys[loginJWKS], published("next", edKey().Public()))
		})
		time.Sleep(6 * time.Second)
		expectTaken(t, tokens, good(time.Now(), "next"))
	})
}

func TestAWithdrawnSetIsNotUsedAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		expectTaken(t, tokens, good(time.Now(), "ed"))
		network.set(func(n *internet) { n.keys[loginJWKS] = []any{} })
		_, err := authenticate(t.Context(), tokens, good(time.Now(), "next"))
		expectWait(t, err, 10*time.Second)
		_, err = authenticate(t.Context(), tokens, good(time.Now(), "ed"))
		expectWait(t, err, 10*time.Second)
	})
}

func TestASilentIssuerIsNotWaitedForLong(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		network.set(func(n *internet) { n.delay = time.Hour })
		began := time.Now()
		_, err := authenticate(t.Context(), tokens, good(began, "ed"))
		expectWait(t, err, 10*time.Second)
		if took := time.Since(began); took != authn.KeyFetchTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

func TestACallerWhoLeavesDoesNotEndTheFetch(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		network.set(func(n *internet) { n.delay = 2 * time.Second })
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		_, err := authenticate(ctx, tokens, good(time.Now(), "ed"))
		expectWait(t, err, time.Second)
		time.Sleep(time.Second)
		expectTaken(t, tokens, good(time.Now(), "ed"))
		expectRequests(t, network, 1)
	})
}

func TestCloseEndsFetches(t *testing.T) {
	bubble(t, func(t *testing.T, network *internet, tokens *authn.Tokens) {
		network.set(func(n *internet) { n.delay = 4 * time.Second })
		began := time.Now()
		go tokens.Authenticate(t.Context(), credential(good(began, "ed"))) //nolint:errcheck // only the fetch matters
		synctest.Wait()
		tokens.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Minute)
		_, err := authenticate(t.Context(), tokens, good(time.Now(), "ed"))
		if !errors.Is(err, authn.ErrKeysUnavailable) {
			t.Errorf("after the end: %v", err)
		}
		expectRequests(t, network, 1)
	})
}

func TestTheErrorSaysWhatIsWrongButNotWhere(t *testing.T) {
	t.Parallel()
	network := &internet{}
	tokens := newTokens(t, network, at(noon), func(c *authn.TokenConfig) { c.Issuers[0].JWKSURL += "?key=hidden" })
	_, err := authenticate(t.Context(), tokens, good(noon, "ed"))
	if err == nil || !strings.Contains(err.Error(), "no route to host") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}
