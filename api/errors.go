package openapi

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/pimsd/pimsd/internal/errcodes"
)

//go:embed errors.html
var errorsPage string

// explainErrors returns the handler of the page that explains every code of the catalog. A fragment names one: errors#2308.
func explainErrors() http.HandlerFunc {
	page := template.Must(template.New("errors").Funcs(template.FuncMap{
		"split": strings.Split,
		"isOdd": func(i int) bool { return i%2 == 1 },
	}).Parse(errorsPage))
	return func(w http.ResponseWriter, _ *http.Request) {
		setContent(w, "text/html; charset=utf-8")
		_ = page.Execute(w, errcodes.All()) // it fails only when the client has left
	}
}
