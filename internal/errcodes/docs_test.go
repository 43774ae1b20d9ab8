package errcodes

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/template"
)

// docs/errors.md is the catalogue in words. -update writes it.
func TestErrorsDocumentIsTheCatalogue(t *testing.T) {
	const path = "../../docs/errors.md"
	page := template.Must(template.New("errors.md.tmpl").Funcs(template.FuncMap{"join": strings.Join, "statuses": statuses}).
		ParseFiles("testdata/errors.md.tmpl"))
	var want bytes.Buffer
	if err := page.Execute(&want, All()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the catalog says; write it again with: go test ./internal/errcodes -update", path)
	}
}

func statuses(e Entry) string {
	var s []string
	for _, status := range e.Statuses() {
		s = append(s, strconv.Itoa(status))
	}
	return strings.Join(s, ", ")
}
