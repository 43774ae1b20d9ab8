package app

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	openapi "github.com/pimsd/pimsd/api"
)

// withDocs adds the page of the API to what the operators' listener serves.
func (a *App) withDocs(operators http.Handler) http.Handler {
	page := sync.OnceValue(a.docs) // the API's listener, which it may need, is bound later
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path+"/" == openapi.PagePath || strings.HasPrefix(r.URL.Path, openapi.PagePath) {
			page().ServeHTTP(w, r)
			return
		}
		operators.ServeHTTP(w, r)
	})
}

func (a *App) docs() http.Handler {
	if !a.config.Ops.Try || a.certificate != nil { // calls are passed on in plain HTTP alone
		return openapi.PageHandler(nil)
	}
	return openapi.PageHandler(&openapi.Try{
		API: &url.URL{Scheme: "http", Host: reachable(a.APIAddress())}, Key: a.config.Ops.TryKey,
	})
}
