package config

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestSettingsAreWhole(t *testing.T) {
	t.Parallel()
	strict := json.NewDecoder(bytes.NewReader(manualText))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&[]group{}); err != nil {
		t.Errorf("settings.json: %v", err)
	}
	if settings, values := Default().settings(), Default().values(); len(settings) != len(values) {
		t.Errorf("settings.json has %d settings, %d have a place", len(settings), len(values))
	}
	seen := map[string]string{}
	for _, s := range Default().settings() {
		if s.Unit == "" || s.What == "" || !strings.HasSuffix(s.Effect, ".") || strings.HasSuffix(s.What, ".") {
			t.Errorf("%s: a setting has a unit, a phrase that says what it is, and sentences that say what follows from it", s.Key)
		}
		if strings.Contains(s.What+s.Effect, "|") {
			t.Errorf("%s: a | would end the cell of the manual's table", s.Key)
		}
		for _, name := range s.names() {
			if other, ok := seen[name]; ok {
				t.Errorf("%s and %s share the name %s", s.Key, other, name)
			}
			seen[name] = s.Key
		}
	}
}

func TestNamesOfASetting(t *testing.T) {
	t.Parallel()
	s := setting{Key: "quota.otps_per_day"}
	if got := [3]string{s.Key, s.env(), s.flag()}; got != [3]string{"quota.otps_per_day", "PIMSD_QUOTA_OTPS_PER_DAY", "quota-otps-per-day"} {
		t.Errorf("names are %q", got)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"url", "ulr", 2}, {"listen", "listen", 0}, {"a", "ab", 1},
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("%q to %q takes %d, got %d", tc.a, tc.b, tc.want, got)
		}
	}
}

// The law: a file is refused with faults that say where and what, or what was read from it can be written and read again.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		written(Default()),
		"",
		"listen: :1\nlog: {level: debug}\n",
		"inwebo:\n  macid: 'a \"b\" \\ é'\n  service: |\n    x\n",
		"inwebo:\n  macid: 00000000000000000000000000000000\n  service: 0x1F\n",
		"database_url: \"postgres://u:p@h/d\"\ndata_dir: ~\n",
		"a: &b\n  c: *b\n<<: x\n",
		"? listen\n: :1\n",
		"%YAML 1.2\n---\n...\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := loadBytes(content)
		if err != nil {
			expectFaults(t, err)
			return
		}
		text := written(c)
		again, err := loadBytes([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		c.origins, again.origins = nil, nil
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("read %+v, and when written and read again %+v", c, again)
		}
	})
}

// written returns c as a file of settings.
func written(c *Config) string {
	return regexp.MustCompile(`(?m)^#(  )?(\w)`).ReplaceAllString(c.render(), "$1$2")
}

func loadBytes(content []byte) (*Config, error) {
	return Load(Input{
		Environ: []string{EnvFile + "=f"},
		Root:    true,
		ReadFile: func(name string) ([]byte, error) {
			if name != "f" {
				return nil, fs.ErrNotExist
			}
			return bytes.Clone(content), nil
		},
	})
}

func expectFaults(t *testing.T, err error) {
	t.Helper()
	faults, ok := err.(Faults) //nolint:errorlint // Load's promise is the type itself
	if !ok || len(faults) == 0 {
		t.Fatalf("refused without a fault: %v", err)
	}
	for _, fault := range faults {
		if !strings.HasPrefix(fault.Setting, "f") || fault.Problem == "" {
			t.Fatalf("a fault that does not say where or what: %+v", fault)
		}
	}
}
