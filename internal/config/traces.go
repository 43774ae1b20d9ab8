package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Traces is where spans go.
type Traces struct {
	OTLPURL string // OTLP over HTTP, path included; empty: nowhere
}

// tracesPath is where collectors take traces by default.
const tracesPath = "/v1/traces"

// collector is the URL of a collector, with its path, or empty.
func collector(p *string) value {
	return value{
		set: func(s string) error {
			if s == "" {
				*p = ""
				return nil
			}
			u, err := url.Parse(s)
			if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
				return errors.New("is not a URL of scheme, host and path: use one such as http://127.0.0.1:4318")
			}
			if u.Path == "" || u.Path == "/" {
				u.Path = tracesPath
			}
			*p = u.String()
			return nil
		},
		text: func() string { return *p },
	}
}

// checkTraceHeaders makes malformed headers for the collector a fault, because the exporter, which reads them itself, leaves them out
// without an error. The fault has no text of them: they are often tokens.
func (l *loader) checkTraceHeaders() {
	if l.config.Traces.OTLPURL == "" {
		return
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		if text := l.environ(name); text != "" && !areTraceHeaders(text) {
			l.fault(name, "has not the form name=value,name=value, each value percent-encoded: correct it, or unset traces.otlp_url")
		}
	}
}

// areTraceHeaders reports whether the exporter can read all headers of a variable.
func areTraceHeaders(text string) bool {
	for header := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(header) == "" { // such as behind a comma at the end
			continue
		}
		name, value, found := strings.Cut(header, "=")
		if _, err := url.PathUnescape(value); !found || err != nil || !isToken(strings.TrimSpace(name)) {
			return false
		}
	}
	return true
}

// isToken reports whether a text is a token of HTTP, as the name of a header must be (RFC 9110 §5.6.2).
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
