package openapi

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

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
	r.Use(middleware.GetHead, middleware.SetHeader("Content-Security-Policy", policy),
		middleware.SetHeader("X-Content-Type-Options", "nosniff"), middleware.SetHeader("Referrer-Policy", "no-referrer"))
	contract := document
	if try != nil {
		contract = strings.Replace(contract, "\n  - url: /\n", "\n  - url: "+tryPath+"\n", 1)
		r.Handle(tryPath+"/*", http.StripPrefix(tryPath, try.passOn()))
		r.Method(http.MethodPost, keyPath, try.serveKey())
	}
	files, _ := fs.Sub(assets, "assets") // the only error is a name that is not valid
	r.Get("/docs", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, PagePath, http.StatusPermanentRedirect)
	})
	r.Get(PagePath+"page.js", text("text/javascript; charset=utf-8", pageSettings(try != nil)+pageScript))
	r.Get(PagePath+"openapi.yaml", text("application/yaml; charset=utf-8", contract))
	r.Get(PagePath+"errors", explainErrors())
	r.Get(PagePath+"*", http.StripPrefix(PagePath, http.FileServerFS(files)).ServeHTTP)
	return r
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
