package openapi

import (
	"embed"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

//go:embed assets
var assets embed.FS

//go:embed page-read.js
var pageRead string

//go:embed page-try.js
var pageTry string

// PagePath is where the page is served.
const PagePath = "/docs/"

// tryPath is what calls that the page makes begin with.
const tryPath = "/docs/try"

// policy lets the page load from its own origin alone. Swagger UI draws its arrows as data: images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// PageHandler serves the page on which people read the API: the document in Swagger UI, which is embedded (assets, with its license;
// scripts/vendor-swagger-ui brings a newer one). With try, calls from the page are passed on to that URL; nil shows the document
// and offers none: on an operators' listener that others share, that would be a way around the API's own.
//
// The page never loads anything from elsewhere, which its content security policy forbids to the browser.
func PageHandler(try *url.URL) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.GetHead, middleware.SetHeader("Content-Security-Policy", policy),
		middleware.SetHeader("X-Content-Type-Options", "nosniff"), middleware.SetHeader("Referrer-Policy", "no-referrer"))
	contract, script := document, pageRead
	if try != nil {
		script = pageTry
		contract = strings.Replace(contract, "\n  - url: /\n", "\n  - url: "+tryPath+"\n", 1)
		r.Handle(tryPath+"/*", http.StripPrefix(tryPath, passOn(try)))
	}
	files, _ := fs.Sub(assets, "assets") // the only error is a name that is not valid
	r.Get("/docs", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, PagePath, http.StatusPermanentRedirect)
	})
	r.Get(PagePath+"page.js", text("text/javascript; charset=utf-8", script))
	r.Get(PagePath+"openapi.yaml", text("application/yaml", contract))
	r.Get(PagePath+"*", http.StripPrefix(PagePath, http.FileServerFS(files)).ServeHTTP)
	return r
}

func text(kind, content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, content) // who asked has gone when this fails
	}
}

// passOn passes calls on that the page itself has made: a browser says of every other page that it is one. A page that had its
// own name resolved to this machine would be taken for this one, so calls must name the machine by its address.
func passOn(to *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	guarded := http.NewCrossOriginProtection().Handler(proxy)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAddress(r.Host) {
			http.Error(w, "open this page by an IP address or as localhost: calls from another name are not passed on",
				http.StatusMisdirectedRequest)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// isAddress reports whether a Host header names a machine without the help of a name server.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}
