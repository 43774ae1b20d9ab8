package loadtest_test

import (
	"encoding/json"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy is a toxiproxy between two sockets.
type proxy struct {
	*toxiproxy.Proxy
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, "inwebo", "127.0.0.1:0", upstream)}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// toxic is one that toxiproxy knows, in a direction: upstream is towards inWebo.
type toxic struct {
	kind       string
	attributes map[string]int
}

const (
	upstream   = "upstream"
	downstream = "downstream"
)

func (p *proxy) poison(t *testing.T, toxic toxic, direction string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"name": "toxic", "type": toxic.kind, "stream": direction, "attributes": toxic.attributes,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		t.Fatal(err)
	}
}

// cure takes the toxic away.
func (p *proxy) cure(t *testing.T) {
	t.Helper()
	if err := p.Toxics.RemoveToxic(t.Context(), "toxic"); err != nil {
		t.Fatal(err)
	}
}
