package openapi

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/pimsd/pimsd/internal/errcodes"
)

//go:embed assets
var assets embed.FS

//go:embed page.js
var pageScript string

// PagePath is where the page is served.
const PagePath = "/docs/"

// policy lets the page load from its own origin alone. Swagger UI draws its arrows as data: images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// PageHandler serves the page on which people read the API: the document in Swagger UI, which is embedded (assets, with its license;
// scripts/vendor-swagger-ui brings a newer one). A page next to it, errors, explains the codes. With try, calls from the page are passed
// on to the API; nil shows the document and offers none: on an operators' listener that others share, that would be a way around the
// API's own.
//
// The page never loads anything from elsewhere, which its content security policy forbids to the browser.
func PageHandler(try *Try) http.Handler {
	r := chi.NewRouter()
	get := func(route string, h http.Handler) {
		r.Method(http.MethodGet, route, h)
		r.Method(http.MethodHead, route, h)
	}
	contract := document
	if try != nil {
		contract = strings.Replace(contract, "\n  - url: /\n", "\n  - url: "+tryPath+"\n", 1)
		r.Handle(tryPath+"/*", http.StripPrefix(tryPath, try.passOn()))
		r.Method(http.MethodPost, keyPath, try.serveKey())
	}
	files, _ := fs.Sub(assets, "assets") // the only error is a name that is not valid
	get("/docs", http.RedirectHandler(PagePath, http.StatusPermanentRedirect))
	get(PagePath+"page.js", text("text/javascript; charset=utf-8", pageSettings(try != nil)+pageScript))
	get(PagePath+"openapi.yaml", text("application/yaml; charset=utf-8", contract))
	get(PagePath+"errors", explainErrors())
	get(PagePath+"*", http.StripPrefix(PagePath, http.FileServerFS(files)))
	return withPolicy(r)
}

// withPolicy sets what a browser must know of every answer before it calls next.
func withPolicy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// pageSettings returns the line of JavaScript that page.js expects before it.
func pageSettings(try bool) string {
	var codes []string
	for _, entry := range errcodes.All() {
		codes = append(codes, entry.Code.String())
	}
	return fmt.Sprintf("const settings = {codes: [%s], try: %t};\n", strings.Join(codes, ", "), try)
}

func text(kind, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		setContent(w, kind)
		_, _ = io.WriteString(w, content) // it fails only when the client has left
	}
}

// setContent sets the header of content that no cache may keep.
func setContent(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
}
