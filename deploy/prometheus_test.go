package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

var draw = flag.String("draw", "", "write what Prometheus answers the dashboard into this file, as JSON")

// loaded is how long pimsd is called; rates are taken over the half of it.
const loaded = 12 * time.Second

// A real Prometheus that scrapes a real pimsd under load has an answer for each query of the dashboard, and for each rule.
func TestPrometheusAnswersTheDashboard(t *testing.T) {
	d := pimsdtest.Start(t, func(s *pimsdtest.Setup) { s.Config.Quota.OTPsPerDay, s.Config.Guard.Attempts = 1_000_000, 2 })
	base := startPrometheus(t, d)
	began := time.Now()
	load(t, d)
	answers := map[string]series{}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			query := strings.NewReplacer("$__rate_interval", "6s", "$job", "pimsd").Replace(target.Expr)
			answer := ask(t, base, query, began)
			if !answer.hasNumbers() && !maybeEmpty(query) {
				t.Errorf("%s: Prometheus has no answer to %s", p.Title, query)
			}
			answers[p.Title+"\n"+target.LegendFormat] = answer
		}
	}
	for _, fault := range []string{"OTPs", "inWebo", "callers and accounts"} {
		if !answers["Who is at fault\n"+fault].everAbove(0) {
			t.Errorf("the dashboard does not show what happened because of: %s", fault)
		}
	}
	for _, state := range rulesOf(t, base) {
		if state.Health != "ok" {
			t.Errorf("the rule %s is %s: %s", state.Name, state.Health, state.LastError)
		}
	}
	if *draw != "" {
		text, err := json.Marshal(answers)
		if err == nil {
			err = os.WriteFile(*draw, text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// maybeEmpty tells of a query that asks for what a good day does not have.
func maybeEmpty(query string) bool {
	return strings.Contains(query, "pimsd_api_key_next_expiry") || strings.Contains(query, "pimsd_tls_certificate_expiry")
}

// load calls pimsd from all sides for a while: most calls are good, some are not, and inWebo has its moments.
func load(t *testing.T, d *pimsdtest.Daemon) {
	t.Helper()
	var accounts []*pimsdtest.Account
	for i := range 8 {
		accounts = append(accounts, d.Enroll(fmt.Sprintf("account-%d", i), "1234"))
	}
	unserved, unanswered, guesses := d.Enroll("unserved", "1234"), d.Enroll("unanswered", "1234"), d.Enroll("guesses", "1234")
	refusal := inwebosim.Fault{Kind: inwebosim.KindErr, Match: inwebosim.Match{Action: pimsdtest.ActionFinalize}, Err: "NOK:NOSRV", Times: 1}
	silence := inwebosim.Fault{Kind: inwebosim.KindLostAnswer, Match: refusal.Match, Times: 1}
	end := time.Now().Add(loaded)
	var callers sync.WaitGroup
	for i, a := range accounts {
		callers.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				pin := "1234"
				if n%20 == i {
					pin = "12"
				}
				a.OTP(pin)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	callers.Go(func() {
		for time.Now().Before(end) {
			unserved.Plant(refusal)
			unserved.OTP("1234")
			unanswered.Plant(silence)
			unanswered.OTP("1234")
			guesses.OTP("9999")
			d.Ask("no key", pimsdtest.WithPIN("1234"))
			time.Sleep(200 * time.Millisecond)
		}
	})
	callers.Wait()
}

// startPrometheus starts one that scrapes the daemon each second with the rules that are deployed, and gives its base URL.
func startPrometheus(t *testing.T, d *pimsdtest.Daemon) (base string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, target, _ := strings.Cut(d.OpsURL("/"), "//")
	where, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs:\n  - job_name: pimsd\n    static_configs: [{targets: [%q]}]\n", where, strings.TrimSuffix(target, "/"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, "prometheus", "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		"--web.listen-address="+address, "--log.level=warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it ends because it was told to
		if t.Failed() {
			t.Logf("Prometheus:\n%s", log.String())
		}
	})
	base = "http://" + address
	for range 300 {
		if resp, err := http.Get(base + "/-/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return base
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("Prometheus does not get ready:\n%s", log.String())
	return ""
}

// series is what Prometheus answers a query over a range.
type series []struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"` // time, text
}

func (s series) hasNumbers() bool { return s.everAbove(math.Inf(-1)) }

// everAbove reports whether there is a number above the limit; NaN is none.
func (s series) everAbove(limit float64) bool {
	for _, one := range s {
		for _, value := range one.Values {
			if n, err := strconv.ParseFloat(value[1].(string), 64); err == nil && n > limit {
				return true
			}
		}
	}
	return false
}

func ask(t *testing.T, base, query string, began time.Time) series {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result series }
	}
	get(t, base+"/api/v1/query_range?"+url.Values{
		"query": {query}, "step": {"1"},
		"start": {strconv.FormatInt(began.Unix(), 10)}, "end": {strconv.FormatInt(time.Now().Unix(), 10)},
	}.Encode(), &answer)
	if answer.Status != "success" {
		t.Errorf("%s: %s", query, answer.Error)
	}
	return answer.Data.Result
}

type ruleState struct{ Name, Health, LastError string }

func rulesOf(t *testing.T, base string) (all []ruleState) {
	t.Helper()
	var answer struct {
		Data struct{ Groups []struct{ Rules []ruleState } }
	}
	get(t, base+"/api/v1/rules", &answer)
	for _, group := range answer.Data.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) != len(alerts(t)) {
		t.Errorf("Prometheus knows %d rules", len(all))
	}
	return all
}

func get(t *testing.T, address string, into any) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
