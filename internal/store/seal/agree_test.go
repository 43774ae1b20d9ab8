package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// storeOf makes a store with a record under each of the lines' keys, and records the key given, unless it is empty.
func storeOf(t *testing.T, recorded string, lines ...string) *storetest.Memory {
	t.Helper()
	memory := storetest.NewMemory()
	for i, key := range lines {
		_, err := put(t, seal.New(memory, keyringOf(t, key)), otp.Account(rune('a'+i)), 1, 0, time.Time{})
		must(t, err)
	}
	if recorded != "" {
		must(t, memory.RecordSealingKey(t.Context(), string(idOf(t, recorded))))
	}
	return memory
}

// A process without the key that seals is told so before it seals anything; without another key it goes on.
func TestCurrentKeyOfTheStore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		recorded string
		records  []string
		keyring  []string
		missing  bool
		after    string // the key that is recorded afterwards
	}{
		"a new store":                             {"", nil, []string{line(1)}, false, line(1)},
		"the right key":                           {line(1), []string{line(1)}, []string{line(1)}, false, line(1)},
		"a foreign key":                           {line(1), []string{line(1)}, []string{line(9)}, true, line(1)},
		"before the new key was given":            {line(2), []string{line(1), line(2)}, []string{line(1)}, true, line(2)},
		"the new key is behind the old one":       {line(2), []string{line(1), line(2)}, []string{line(1), line(2)}, false, line(1)},
		"an old key is missing":                   {line(2), []string{line(1), line(2)}, []string{line(2)}, false, line(2)},
		"no record needs the missing key":         {line(2), []string{line(1)}, []string{line(1)}, false, line(1)},
		"no record at all":                        {line(2), nil, []string{line(1)}, false, line(1)},
		"nothing recorded, the right key":         {"", []string{line(1)}, []string{line(1)}, false, line(1)},
		"nothing recorded, a foreign key":         {"", []string{line(1), line(2)}, []string{line(9)}, true, ""},
		"nothing recorded, one of two is missing": {"", []string{line(1), line(2)}, []string{line(2)}, false, line(2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory, keyring := storeOf(t, tc.recorded, tc.records...), keyringOf(t, tc.keyring...)
			for what, check := range map[string]func() error{
				"CheckCurrent": func() error { return keyring.CheckCurrent(t.Context(), memory) },
				"Agree":        func() error { return keyring.Agree(t.Context(), memory) },
			} {
				if err := check(); errors.Is(err, seal.ErrCurrentKeyMissing) != tc.missing || (err != nil) != tc.missing {
					t.Errorf("%s returns %v", what, err)
				} else if tc.missing && !strings.Contains(err.Error(), string(idOf(t, tc.records[len(tc.records)-1]))) {
					t.Errorf("%s does not name the key: %v", what, err)
				}
			}
			want := ""
			if tc.after != "" {
				want = string(idOf(t, tc.after))
			}
			if got, err := memory.SealingKey(t.Context()); err != nil || got != want {
				t.Errorf("recorded is %q (%v), want %q", got, err, want)
			}
		})
	}
}

// A store that cannot be read says nothing about keys.
func TestCurrentKeyWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	broken := failingCatalog{storetest.NewMemory()}
	for what, err := range map[string]error{
		"CheckCurrent": keyringOf(t, line(1)).CheckCurrent(t.Context(), broken), "Agree": keyringOf(t, line(1)).Agree(t.Context(), broken),
	} {
		if !errors.Is(err, errCatalog) || errors.Is(err, seal.ErrCurrentKeyMissing) {
			t.Errorf("%s returns %v", what, err)
		}
	}
}

var errCatalog = errors.New("no connection")

// A process whose key the store has recorded writes nothing to the store.
func TestAgreeWritesNothingTwice(t *testing.T) {
	t.Parallel()
	if err := keyringOf(t, line(1)).Agree(t.Context(), readOnlyCatalog{storeOf(t, line(1), line(1))}); err != nil {
		t.Error(err)
	}
}

// readOnlyCatalog is a store that takes no write.
type readOnlyCatalog struct{ *storetest.Memory }

func (readOnlyCatalog) RecordSealingKey(context.Context, string) error { return errCatalog }

// failingCatalog is a store that cannot be read.
type failingCatalog struct{ *storetest.Memory }

func (failingCatalog) SealingKey(context.Context) (string, error) { return "", errCatalog }
