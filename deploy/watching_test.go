package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

const (
	rules     = "prometheus/rules.yaml"
	dashboard = "grafana/pimsd.json"
	runbooks  = "https://github.com/pimsd/pimsd/blob/main/"
)

func TestTheRulesDoWhatTheySay(t *testing.T) {
	t.Parallel()
	output(t, "promtool", "check", "rules", rules)
	output(t, "promtool", "test", "rules", "prometheus/rules_test.yaml")
}

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, rules)), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no rules")
	}
	return all
}

// Each alert has a page, each page an alert, and each alert is tested in both directions.
func TestEveryAlertHasAPageAndATest(t *testing.T) {
	t.Parallel()
	tests := read(t, "prometheus/rules_test.yaml")
	pages := map[string]bool{}
	for _, alert := range alerts(t) {
		page := "docs/alerts/" + alert.Alert + ".md"
		if alert.Annotations["runbook_url"] != runbooks+page {
			t.Errorf("%s has the runbook %s", alert.Alert, alert.Annotations["runbook_url"])
		}
		pages["../"+page] = true
		if !strings.HasPrefix(read(t, "../"+page), "# "+alert.Alert+"\n") {
			t.Errorf("%s is not the page of %s", page, alert.Alert)
		}
		if s := alert.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has the severity %q", alert.Alert, s)
		}
		if n := strings.Count(tests, "alertname: "+alert.Alert+"\n"); n == 0 {
			t.Errorf("no test has %s fire", alert.Alert)
		}
		if n := strings.Count(tests, "alertname: "+alert.Alert+"}"); n == 0 {
			t.Errorf("no test has %s be silent", alert.Alert)
		}
	}
	found, err := filepath.Glob("../docs/alerts/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range found {
		if !pages[page] {
			t.Errorf("%s is the page of no alert", page)
		}
	}
}

// panel is one of the dashboard.
type panel struct {
	Title, Description string
	Targets            []struct{ Expr, LegendFormat string }
}

func panels(t *testing.T) (all []panel) {
	t.Helper()
	var board struct{ Panels []panel }
	if err := json.Unmarshal([]byte(read(t, dashboard)), &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if len(p.Targets) > 0 {
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("the dashboard has %d panels", len(all))
	}
	return all
}

// metricName is a metric of ours, or of the process; what a histogram adds to its name is cut off.
var metricName = regexp.MustCompile(`\b((?:pimsd|process|go)_[a-z_]+?)(?:_bucket|_count|_sum)?\b(?:[^a-z_]|$)`)

func named(texts ...string) map[string]bool {
	names := map[string]bool{}
	for _, text := range texts {
		for _, name := range metricName.FindAllStringSubmatch(text, -1) {
			names[name[1]] = true
		}
	}
	return names
}

// scrape is what a pimsd that has done something answers.
func scrape(t *testing.T) string {
	t.Helper()
	d := pimsdtest.Start(t)
	d.Enroll("alice", "1234").OTP("1234")
	d.Ask("no key", pimsdtest.WithPIN("1234"))
	status, text := d.Ops("/metrics")
	if status != http.StatusOK {
		t.Fatalf("HTTP %d", status)
	}
	return text
}

// scrapeWithTLS is what one answers that shows callers a certificate.
func scrapeWithTLS(t *testing.T) string {
	t.Helper()
	certificate, key := writePair(t)
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.TLS.CertFile, s.Config.TLS.KeyFile = certificate, key })
	_, text := d.Ops("/metrics")
	return text
}

// writePair writes a certificate and its key.
func writePair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", public), write("key.pem", "PRIVATE KEY", secret)
}

// Dashboard, rules, documents and program name the same metrics.
func TestEveryMetricIsWatchedAndExists(t *testing.T) {
	t.Parallel()
	text := scrape(t) + scrapeWithTLS(t)
	var asked []string
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			asked = append(asked, target.Expr)
		}
	}
	shown := named(asked...)
	for _, alert := range alerts(t) {
		asked = append(asked, alert.Expr)
	}
	for name := range named(asked...) {
		if !strings.Contains(text, "\n# TYPE "+name+" ") {
			t.Errorf("%s is asked for, and not exported", name)
		}
	}
	written := named(read(t, "../docs/operations.md"))
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (pimsd_\w+) `).FindAllStringSubmatch(text, -1) {
		name := found[1]
		if !regexp.MustCompile(`(?m)^# HELP ` + name + ` \S`).MatchString(text) {
			t.Errorf("%s has no help", name)
		}
		if !shown[name] && !written[name] {
			t.Errorf("%s is exported, and neither on the dashboard nor in docs/operations.md", name)
		}
	}
}

func TestMetricsFollowTheConventions(t *testing.T) {
	t.Parallel()
	check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheDashboardExplainsItself(t *testing.T) {
	t.Parallel()
	titles := map[string]bool{}
	for _, p := range panels(t) {
		if p.Title == "" || titles[p.Title] {
			t.Errorf("the title %q is empty, or there twice", p.Title)
		}
		titles[p.Title] = true
	}
}
