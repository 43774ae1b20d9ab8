package otp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

func TestAccountNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ mayCome, mayBe bool }{
		"alice":                  {mayCome: true, mayBe: true},
		"a l i c e":              {mayCome: true, mayBe: true},
		"~":                      {mayCome: true, mayBe: true},
		strings.Repeat("a", 128): {mayCome: true, mayBe: true},
		" alice":                 {mayBe: true},
		"alice ":                 {mayBe: true},
		" ":                      {mayBe: true},
		"":                       {},
		strings.Repeat("a", 129): {},
		"ali\tce":                {},
		"alicé":                  {},
		"\u00a0alice":            {},
	} {
		for what, got := range map[string]struct {
			parse func(string) (otp.Account, error)
			want  bool
		}{"a new account": {otp.ParseAccount, tc.mayCome}, "an account of a store": {otp.ParseStoredAccount, tc.mayBe}} {
			account, err := got.parse(name)
			if got.want && (err != nil || string(account) != name) || !got.want && !errors.Is(err, otp.ErrAccountName) {
				t.Errorf("%s named %q: %q, %v", what, name, account, err)
			}
		}
	}
}
