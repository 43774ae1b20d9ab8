package config_test

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md, pimsd.example.yaml and the schemas of the chart again")

const (
	manualFile  = "../../docs/configuration.md"
	exampleFile = "../../pimsd.example.yaml"
	chartSchema = "../../deploy/helm/pimsd/values.schema.json"
	chartRules  = "../../deploy/helm/pimsd/templates/_helpers.tpl"
)

// Not parallel: with -update, the tests after it read what it has written.
func TestManualAndExampleAreThoseOfTheSettings(t *testing.T) {
	for name, want := range map[string]string{manualFile: config.Manual(), exampleFile: config.Example(), chartSchema: withSchemas(t)} {
		if *update {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the settings say: go test ./internal/config -update", name)
		}
	}
}

// withSchemas returns the schema of the chart's values with those of the settings and of issuers behind what is written by hand.
func withSchemas(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(chartSchema)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(chartRules)
	if err != nil {
		t.Fatal(err)
	}
	_, places, _ := strings.Cut(string(rules), "$places := dict")
	places, _, _ = strings.Cut(places, "}}")
	var decided []string // by the chart
	for _, line := range regexp.MustCompile(`(?m)^  "([a-z_.]+)" "`).FindAllStringSubmatch(places, -1) {
		decided = append(decided, line[1])
	}
	schemas, err := json.MarshalIndent(config.Schemas(decided), "  ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const definitions = "\n  \"definitions\": "
	byHand, _, found := strings.Cut(string(content), definitions)
	if !found {
		t.Fatalf("%s has no definitions", chartSchema)
	}
	return byHand + definitions + string(schemas) + "\n}\n"
}

func TestExampleChangesNothing(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range (environment{files: map[string]string{"pimsd.yaml": string(content)}}).mustLoad(t).Effective() {
		if strings.HasPrefix(e.Origin, "pimsd.yaml:") {
			t.Errorf("%s sets %s", exampleFile, e.Key)
		}
	}
}

func TestExampleUncommentedIsTheDefaults(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	content = regexp.MustCompile(`(?m)^#((?:  )?[a-z])`).ReplaceAll(content, []byte("$1"))
	got := environment{files: map[string]string{"pimsd.yaml": string(content)}}.mustLoad(t)
	want := environment{}.mustLoad(t)
	for i, e := range got.Effective() {
		if !strings.HasPrefix(e.Origin, "pimsd.yaml:") && e.Key != "data_dir" { // an empty name names none
			t.Errorf("%s is missing in %s", e.Key, exampleFile)
		}
		if e.Text != want.Effective()[i].Text {
			t.Errorf("%s is %q, and its default is %q", e.Key, e.Text, want.Effective()[i].Text)
		}
	}
}

// What an operator reads first is no more than ten settings.
func TestOperatorSetsTen(t *testing.T) {
	t.Parallel()
	first := config.FlagGroups()[0]
	if settings := len(first.Flags) - 1; first.Flags[0] != config.FlagFile || settings != 10 {
		t.Errorf("%q has %d settings: %v", first.Title, settings, first.Flags)
	}
}

// Every field of Config can be set by a setting of its own, except the list in a file that a setting names.
func TestEveryFieldHasASetting(t *testing.T) {
	t.Parallel()
	fields := 0
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for field := range typ.Fields() {
			switch {
			case !field.IsExported() || field.Tag.Get("setting") == "none" || field.Type == reflect.TypeFor[[]authn.Issuer]():
			case field.Type.Kind() == reflect.Struct && strings.HasSuffix(field.Type.PkgPath(), "/config"):
				visit(field.Type)
			default:
				fields++
			}
		}
	}
	visit(reflect.TypeFor[config.Config]())
	const most = 40 // settings: what no operator decides is a constant, or follows from others
	if settings := len(config.Default().Effective()); settings != fields || settings > most {
		t.Errorf("%d fields and %d settings, of which there may be %d", fields, settings, most)
	}
}
