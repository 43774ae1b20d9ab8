package config_test

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md and pimsd.example.yaml again")

const (
	manualFile  = "../../docs/configuration.md"
	exampleFile = "../../pimsd.example.yaml"
)

// Not parallel: with -update, the tests after it read what it has written.
func TestManualAndExampleAreThoseOfTheSettings(t *testing.T) {
	for name, want := range map[string]string{manualFile: config.Manual(), exampleFile: config.Example()} {
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

func TestExampleChangesNothing(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range (world{files: map[string]string{"pimsd.yaml": string(content)}}).mustLoad(t).Effective() {
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
	got := world{files: map[string]string{"pimsd.yaml": string(content)}}.mustLoad(t)
	want := world{}.mustLoad(t)
	for i, e := range got.Effective() {
		if !strings.HasPrefix(e.Origin, "pimsd.yaml:") && e.Key != "data_dir" { // an empty name names none
			t.Errorf("%s is missing in %s", e.Key, exampleFile)
		}
		if e.Text != want.Effective()[i].Text {
			t.Errorf("%s is %q, and its default is %q", e.Key, e.Text, want.Effective()[i].Text)
		}
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
			case !field.IsExported() || field.Tag.Get("setting") == "none" || field.Type == reflect.TypeFor[[]config.Issuer]():
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
