package authn_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
)

func TestParseBearer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		header []string
		want   string // empty: refused
	}{
		{[]string{"Bearer pims_abc_def"}, "pims_abc_def"},
		{[]string{"bearer   eyJ.e30.sig-_~+/=="}, "eyJ.e30.sig-_~+/=="},
		{[]string{"BEARER x"}, "x"},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"Bearer"}, ""},
		{[]string{"Bearer "}, ""},
		{[]string{"Bearer ="}, ""},
		{[]string{"Bearer a=b"}, ""},
		{[]string{"Bearer a b"}, ""},
		{[]string{"Bearer a "}, ""},
		{[]string{" Bearer a"}, ""},
		{[]string{"Bearer\ta"}, ""},
		{[]string{"Bearer a,b"}, ""},
		{[]string{"Bearer ä"}, ""},
		{[]string{"Basic YTpi"}, ""},
		{[]string{"Bearera"}, ""},
		{[]string{"Bearer a", "Bearer a"}, ""},
	} {
		got, err := authn.ParseBearer(tc.header)
		if got.Reveal() != tc.want || (err == nil) != (tc.want != "") || err != nil && !errors.Is(err, authn.ErrUnauthenticated) {
			t.Errorf("%q: %q, %v; want %q", tc.header, got.Reveal(), err, tc.want)
		}
	}
}

func TestReasonsOfHeaders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		header []string
		want   authn.Reason
	}{
		{nil, authn.ReasonMissing}, {[]string{"Basic YTpi"}, authn.ReasonMalformed}, {[]string{"Bearer a", "Bearer a"}, authn.ReasonMalformed},
	} {
		if _, err := authn.ParseBearer(tc.header); authn.ReasonOf(err) != tc.want {
			t.Errorf("%q: the reason is %q, want %q", tc.header, authn.ReasonOf(err), tc.want)
		}
	}
}

// The law: a value is refused, or it is the scheme, blanks and exactly the token that comes back.
func FuzzParseBearer(f *testing.F) {
	for _, seed := range []string{"Bearer pims_abc_def", "bearer  a.b.c==", "Bearer", "Basic YTpi", "Bearer a b", "Bearer \xff"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`\A(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)\z`)
	f.Fuzz(func(t *testing.T, value string) {
		want := ""
		if m := form.FindStringSubmatch(value); m != nil {
			want = m[1]
		}
		got, err := authn.ParseBearer([]string{value})
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", value, got.Reveal(), err, want)
		}
	})
}
