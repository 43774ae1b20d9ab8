package config

import (
	"errors"
	"net/url"
	"slices"
)

// Traces is where spans go.
type Traces struct {
	OTLPURL string // OTLP over HTTP, path included; empty: nowhere
}

func (c *Config) traceSettings() []setting {
	return []setting{
		{
			key: "traces.otlp_url", unit: "URL", value: collector(&c.Traces.OTLPURL),
			what: "the OpenTelemetry collector that is sent traces (OTLP over HTTP), such as `http://127.0.0.1:4318`",
			effect: "Empty: none. A trace is the caller's when the request has a `traceparent` header (W3C). No account and no secret " +
				"is in it. Headers and certificates that the collector asks for come from the usual `OTEL_EXPORTER_OTLP_*` variables.",
		},
	}
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
