package config_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

// withIssuers is a world whose environment names a file of issuers.
func withIssuers(content string) environment {
	return environment{
		files:   map[string]string{"issuers.yaml": content},
		environ: []string{"PIMSD_JWT_ISSUERS_FILE=issuers.yaml"},
	}
}

const minimal = "- name: a\n  url: https://a\n  jwks_url: https://a/keys\n  audiences: [pimsd]\n"

func TestIssuers(t *testing.T) {
	t.Parallel()
	full := authn.Issuer{
		Name: "a", URL: "https://a", JWKSURL: "https://a/keys", Audiences: []string{"p", "q"}, Algorithms: []string{"RS256"}, Type: "at+jwt",
		AccountClaim: "garage", AccountPrefix: "a/", Scopes: []string{"otp", "enroll"},
	}
	least := authn.Issuer{Name: "a", URL: "https://a", JWKSURL: "https://a/keys", Audiences: []string{"pimsd"}}
	at := func(i authn.Issuer, origin string) authn.Issuer {
		i.Origin = origin
		return i
	}
	for name, tc := range map[string]struct {
		content string
		want    []authn.Issuer
	}{
		"least": {minimal, []authn.Issuer{at(least, "issuers.yaml:1")}},
		"two":   {"# ours\n" + minimal + "\n" + minimal, []authn.Issuer{at(least, "issuers.yaml:2"), at(least, "issuers.yaml:7")}},
		"JSON": {
			`[{"name": "a", "url": "https://a", "jwks_url": "https://a/keys", "audiences": ["p", "q"], "algorithms": ["RS256"],` + "\n" +
				`"typ": "at+jwt", "account_claim": "garage", "account_prefix": "a/", "scopes": ["otp", "enroll"]}]`,
			[]authn.Issuer{at(full, "issuers.yaml:1")},
		},
		"one name": {"- account_prefix: 0987\n", []authn.Issuer{{AccountPrefix: "0987", Origin: "issuers.yaml:1"}}},
	} {
		if got := withIssuers(tc.content).mustLoad(t).JWT.Issuers; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
	if c := (environment{}).mustLoad(t); c.JWT.Issuers != nil || c.JWT.Leeway != time.Minute {
		t.Errorf("without a file: %+v", c.JWT)
	}
}

func TestTheIssuersFileIsTheOneThatWins(t *testing.T) {
	t.Parallel()
	c := environment{
		files: map[string]string{
			"pimsd.yaml": "jwt:\n  issuers_file: gone.yaml\n", "env.yaml": "- name: env\n", "flag.yaml": "- name: flag\n",
		},
		environ: []string{"PIMSD_JWT_ISSUERS_FILE=env.yaml"},
		args:    []string{"--jwt-issuers-file=flag.yaml"},
	}.mustLoad(t)
	if len(c.JWT.Issuers) != 1 || c.JWT.Issuers[0].Name != "flag" {
		t.Errorf("got %+v", c.JWT)
	}
}

func TestFaultsOfTheIssuersFile(t *testing.T) {
	t.Parallel()
	const noList = "issuers.yaml is not a list of issuers: begin each with a line of `- name: value`"
	for content, want := range map[string][]string{
		"":               {noList},
		"# none yet":     {noList},
		"[]":             {noList},
		"name: a\n":      {noList},
		"- a\n- name: b": {"issuers.yaml:1 is not an issuer: write lines of `name: value`"},
		"- nome: a\n  name: a\n  name: b\n": {
			"issuers.yaml:1 nome is no setting of an issuer: the nearest is name",
			"issuers.yaml:3 name stands twice in its issuer: keep one",
		},
		"- name: [a]\n- audiences: pimsd\n- scopes: [[otp]]\n- url:\n- scopes:\n    otp: true\n": {
			"issuers.yaml:1 name has no such value: write `name: value`, in quotes when it has special characters",
			"issuers.yaml:2 audiences has no such value: write `audiences: [value, value]`",
			"issuers.yaml:3 scopes has no such value: write `scopes: [value, value]`",
			"issuers.yaml:4 url has no such value: write `url: value`, in quotes when it has special characters",
			"issuers.yaml:5 scopes has no such value: write `scopes: [value, value]`",
		},
		"- name: a\n---\n- name: b\n":       {"issuers.yaml holds several documents: keep one, without ---"},
		"- name: \"a\n":                     {"issuers.yaml:1 is not YAML: could not find end character of double-quoted text; put a value with special characters in quotes"},
		strings.Repeat("- name: a\n", 7000): {"issuers.yaml is larger than 64 KiB: that is no file of settings"},
	} {
		_, err := withIssuers(content).load(t)
		faults, _ := errors.AsType[config.Faults](err)
		var got []string
		for _, f := range faults {
			got = append(got, f.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.40q\ngot\n\t%s\nwant\n\t%s", content, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	_, err := environment{environ: []string{"PIMSD_JWT_ISSUERS_FILE=gone.yaml"}}.load(t)
	if err == nil || !strings.Contains(err.Error(), "PIMSD_JWT_ISSUERS_FILE names a file that cannot be read: open gone.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestTheManualsIssuersCanBeRead(t *testing.T) {
	t.Parallel()
	_, after, _ := strings.Cut(config.Manual(), "```yaml\n")
	example, _, ok := strings.Cut(after, "```")
	if issuers := withIssuers(example).mustLoad(t).JWT.Issuers; !ok || len(issuers) != 2 {
		t.Errorf("got %+v", issuers)
	}
}

// The law: a file of issuers is refused with faults that say where, or every entry has its place.
func FuzzIssuers(f *testing.F) {
	for _, seed := range []string{minimal, minimal + minimal, "[]", "- a", `[{"name": "a", "audiences": ["b"]}]`, "- {}", "- &a\n  name: b\n- *a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		c, err := withIssuers(content).load(t)
		if err != nil {
			faults, _ := errors.AsType[config.Faults](err)
			if len(faults) == 0 {
				t.Errorf("refused without a fault: %v", err)
			}
			for _, fault := range faults {
				if !strings.HasPrefix(fault.Setting, "issuers.yaml") || fault.Problem == "" {
					t.Errorf("a fault that does not say where or what: %+v", fault)
				}
			}
			return
		}
		for _, issuer := range c.JWT.Issuers {
			if !strings.HasPrefix(issuer.Origin, "issuers.yaml:") {
				t.Errorf("%+v does not say where it stands", issuer)
			}
		}
		if len(c.JWT.Issuers) == 0 {
			t.Error("a file without issuers was taken")
		}
	})
}
