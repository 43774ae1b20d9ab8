package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/config"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	file := func(content string) environment { return environment{files: map[string]string{"pimsd.yaml": content}} }
	environ := func(entries ...string) environment { return environment{environ: entries} }
	for _, tc := range []struct {
		world environment
		want  []string // each fault, whole
	}{
		{file("listne: :1\n"), []string{"pimsd.yaml:1 listne is no setting: the nearest is listen"}},
		{file("\ninwebo:\n  ulr: http://h\n"), []string{"pimsd.yaml:3 inwebo.ulr is no setting: the nearest is inwebo.url"}},
		{
			file("inwebo.url: http://h\n"),
			[]string{"pimsd.yaml:1 inwebo.url is no setting: the nearest is inwebo.url, and a dot is written as a section with a line of its own"},
		},
		{file("listen: localhost:1\nlisten: :2\n"), []string{"pimsd.yaml:2 listen stands twice in its section: keep one"}},
		{
			file("listen: [a]\n"),
			[]string{"pimsd.yaml:1 listen has no single value: write `listen: value`, in quotes when it is empty or has special characters, or leave the line out"},
		},
		{
			file("log:\n  level:\n"),
			[]string{"pimsd.yaml:2 log.level has no single value: write `level: value`, in quotes when it is empty or has special characters, or leave the line out"},
		},
		{file("inwebo: 3\n"), []string{"pimsd.yaml:1 inwebo is not a section: write lines of `name: value`"}},
		{file("- listen\n"), []string{"pimsd.yaml:1 is not a section: write lines of `name: value`"}},
		{file("listen: localhost:1\n---\nlisten: localhost:1\n"), []string{"pimsd.yaml holds several documents: keep one, without ---"}},
		{file("listen: \"a\n"), []string{"pimsd.yaml:1 is not YAML: could not find end character of double-quoted text; put a value with special characters in quotes"}},
		{
			file("log:\n  level: info\nlisten: [::1]:8080\n"),
			[]string{`pimsd.yaml:3 is not YAML: put an IPv6 address in quotes, such as "[::1]:8080", since a bare [ begins a list`},
		},
		{
			file("ops: {listen: [::1]:9464}\n"),
			[]string{`pimsd.yaml:1 is not YAML: put an IPv6 address in quotes, such as "[::1]:8080", since a bare [ begins a list`},
		},
		{
			file("ops:\n  listen: [fe80::1%eth0]:9464\n"),
			[]string{`pimsd.yaml:2 is not YAML: put an IPv6 address in quotes, such as "[::1]:8080", since a bare [ begins a list`},
		},
		{file(strings.Repeat("#", 64<<10+1)), []string{"pimsd.yaml is larger than 64 KiB: that is no file of settings"}},
		{file("l\x00i\x00\xff"), []string{"pimsd.yaml is not text in UTF-8: save it in that encoding"}},
		{
			environ("PIMSD_TRACES_OTLP_URL=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS=Authorization=%%%"),
			[]string{"OTEL_EXPORTER_OTLP_HEADERS has not the form name=value,name=value, each value percent-encoded: correct it, or unset traces.otlp_url"},
		},
		{
			environ("PIMSD_TRACES_OTLP_URL=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS=a=b, c=d%20e,", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=token"),
			[]string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS has not the form name=value,name=value, each value percent-encoded: correct it, or unset traces.otlp_url"},
		},
		{
			environment{files: map[string]string{"/s": "\r\n"}, environ: []string{"PIMSD_DATABASE_URL_FILE=/s"}},
			[]string{"PIMSD_DATABASE_URL_FILE names a file that is empty: write the secret into /s"},
		},
		{
			environment{files: map[string]string{"/s": ""}, environ: []string{"PIMSD_SEAL_KEYS_FILE=/s"}},
			[]string{"PIMSD_SEAL_KEYS_FILE names a file that is empty: write the secret into /s"},
		},
		{
			environment{environ: []string{"PIMSD_CONFIG=gone.yaml"}, args: []string{"--config=", "--data-dir="}},
			[]string{
				"--config is empty, as when a variable of the shell is not set: name the place, or leave the flag out for the default",
				"--data-dir is empty, as when a variable of the shell is not set: name the place, or leave the flag out for the default",
			},
		},
		{environ("PIMSD_CONFIG=gone.yaml"), []string{"gone.yaml cannot be read: open gone.yaml: file does not exist"}},
		{environ("PIMSD_LISTE=:1"), []string{"PIMSD_LISTE is no setting: the nearest is PIMSD_LISTEN"}},
		{environ("PIMSD_LISTEN_FILE=/s"), []string{"PIMSD_LISTEN_FILE is no setting: the nearest is PIMSD_LISTEN"}},
		{environ("PIMSD_CONFIGS=x"), []string{"PIMSD_CONFIGS is no setting: the nearest is PIMSD_CONFIG"}},
		{
			environ("PIMSD_DATABASE_URL=postgres://h/d", "PIMSD_DATABASE_URL_FILE=/s"),
			[]string{"PIMSD_DATABASE_URL_FILE and PIMSD_DATABASE_URL both set the same setting: keep one"},
		},
		{
			environ("PIMSD_DATABASE_URL_FILE=/gone"),
			[]string{"PIMSD_DATABASE_URL_FILE names a file that cannot be used: open /gone: file does not exist"},
		},
		{
			environment{files: map[string]string{"pimsd.yaml": "log:\n  level: loud\n"}, environ: []string{"PIMSD_LOG_LEVEL=info"}, args: []string{"--listen=x"}},
			[]string{
				`pimsd.yaml:2 log.level is "loud": use one of debug, info, warn, error`,
				`--listen is "x": give host:port, such as 127.0.0.1:8080`,
			},
		},
		{
			environ("PIMSD_HTTP_TRUSTED_PROXIES=10.0.0.0/8, x"),
			[]string{`PIMSD_HTTP_TRUSTED_PROXIES is "10.0.0.0/8, x": give networks such as 10.0.0.0/8, with commas between`},
		},
		{environ("PIMSD_HTTP_ALLOW_PLAIN=maybe"), []string{`PIMSD_HTTP_ALLOW_PLAIN is "maybe": give yes or no`}},
		{
			environ("PIMSD_LISTEN=:8080"),
			[]string{"PIMSD_LISTEN (:8080) and tls.cert_file () and http.allow_plain (no) do not fit: PINs and OTPs would cross the network readable. " +
				"Listen on loopback, such as 127.0.0.1:8080; or set tls.cert_file and tls.key_file; or, where TLS ends in front of pimsd, " +
				"set http.allow_plain to yes"},
		},
		{
			environ("PIMSD_INWEBO_URL=http://192.0.2.1"),
			[]string{"PIMSD_INWEBO_URL (http://192.0.2.1) and inwebo.allow_plain (no) do not fit: keys of devices would cross the network readable. " +
				"Use a URL that begins with https://; or, for a simulator, set inwebo.allow_plain to yes"},
		},
		{
			environ("PIMSD_HTTP_TRUSTED_PROXIES=10.0.0.1/8"),
			[]string{`PIMSD_HTTP_TRUSTED_PROXIES is "10.0.0.1/8": 10.0.0.1/8 has bits behind its mask, give 10.0.0.0/8`},
		},
		{
			environ("PIMSD_TLS_CERT_FILE=c.pem"),
			[]string{"PIMSD_TLS_CERT_FILE (c.pem) and tls.key_file () go together: set both or neither"},
		},
		{
			environ("PIMSD_CONVERSATION_DEADLINE=11s"),
			[]string{"PIMSD_CONVERSATION_DEADLINE (11s) and inwebo.exchange_timeout (6s) do not fit: " +
				"the deadline must be at least twice the time-out, for a setup and a finalize"},
		},
		{
			environ("PIMSD_CONVERSATION_DEADLINE=11s", "PIMSD_INWEBO_EXCHANGE_TIMEOUT=never"),
			[]string{`PIMSD_INWEBO_EXCHANGE_TIMEOUT is "never": use a duration with its unit, from 100ms to 2m`},
		},
		{
			environ("PIMSD_OPS_LISTEN=127.0.0.1:8080"),
			[]string{"PIMSD_OPS_LISTEN (127.0.0.1:8080) and listen (127.0.0.1:8080) are the same: choose another port for the operators' listener"},
		},
		{
			environ("PIMSD_INWEBO_CLIENT_KEY_FILE=/k"),
			[]string{"PIMSD_INWEBO_CLIENT_KEY_FILE (/k) and inwebo.client_cert_file () go together: set both or neither"},
		},
	} {
		_, err := tc.world.load(t)
		faults, _ := errors.AsType[config.Faults](err)
		var got []string
		for _, f := range faults {
			got = append(got, f.String())
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tc.want, "\n\t"))
		}
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"PIMSD_LISTEN":                  {"", "8080", "h:http", "h:65536", "h:-1", "::1:80"},
		"PIMSD_DATA_DIR":                {"/a\nb", "\xff"},
		"PIMSD_DATABASE_URL":            {"mysql://h/d", "h", "postgres://h:port/d", "host"},
		"PIMSD_HTTP_HEADER_TIMEOUT":     {"", "5", "0s", "2m", "-1s", "5 s"},
		"PIMSD_STOP_DRAIN_DELAY":        {"-1s", "6m"},
		"PIMSD_PIN_GUARD_ATTEMPTS":      {"3", "-1", "1.5", "two", ""},
		"PIMSD_QUOTA_OTPS_PER_DAY":      {"-1", "1000001"},
		"PIMSD_INWEBO_URL":              {"", "otp.mpsa.com", "ftp://h", "https://", "https://:1", "https://h/iwws", "https://h?a", "https://u:p@h", "https://münchen.example"},
		"PIMSD_INWEBO_PATH":             {"", "iwws/MAC", "/a b", "/a?b", "/a#b"},
		"PIMSD_INWEBO_MACID":            {"", "BB8E981582B0F31353108FB020BEAD1C", "bb8e981582b0f31353108fb020bead1"},
		"PIMSD_INWEBO_VERSION":          {"", "1.0", "a/b/c", "a /b"},
		"PIMSD_INWEBO_LANGUAGE":         {"", "FR", "fra"},
		"PIMSD_INWEBO_SERVICE":          {"a\nb", strings.Repeat("a", 129)},
		"PIMSD_INWEBO_PROXY_URL":        {"socks5://h:1080", "http://u:p@münchen.example:3128", "h:3128", "ftp://h", "http://", "http://u:p#w@h", "http://u:p/w@h", "http://u:50%@h", "http://u:p\nw@h"},
		"PIMSD_INWEBO_EXCHANGE_TIMEOUT": {"99ms", "3m"},
		"PIMSD_LOG_FORMAT":              {"", "xml", "JSON"},
	} {
		for _, value := range values {
			_, err := environment{environ: []string{name + "=" + value}}.load(t)
			faults, _ := errors.AsType[config.Faults](err)
			if len(faults) != 1 || faults[0].Setting != name {
				t.Errorf("%s=%q gave %v", name, value, err)
			}
		}
	}
}

func TestValuesThatAreTaken(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"PIMSD_LISTEN":             {"127.0.0.1:0", "[::1]:80", "localhost:65535"},
		"PIMSD_DATA_DIR":           {"", "data", "/srv/données"},
		"PIMSD_DATABASE_URL":       {"", "postgresql://u:p@h:5432/d?sslmode=verify-full"},
		"PIMSD_PIN_GUARD_ATTEMPTS": {"0", "1", "2"},
		"PIMSD_STOP_DRAIN_DELAY":   {"0s", "0", "1m30s"},
		"PIMSD_INWEBO_URL":         {"http://127.0.0.1:9800", "https://otp.mpsa.com/"},
		"PIMSD_INWEBO_SERVICE":     {"", "4711", "Garage, côté jardin"},
		"PIMSD_LOG_FORMAT":         {"auto", "json", "text"},
		"PIMSD_INWEBO_PROXY_URL":   {"", "http://u:p@h:3128"},
	} {
		for _, value := range values {
			environment{environ: []string{name + "=" + value}}.mustLoad(t)
		}
	}
}

// In Kubernetes a Service named pimsd puts these beside the settings.
func TestServiceLinksAreNoSettings(t *testing.T) {
	t.Parallel()
	environment{environ: []string{
		"PIMSD_SERVICE_HOST=10.0.0.1", "PIMSD_SERVICE_PORT=80", "PIMSD_SERVICE_PORT_HTTP=80", "PIMSD_PORT=tcp://10.0.0.1:80",
		"PIMSD_PORT_80_TCP=tcp://10.0.0.1:80", "PIMSD_PORT_80_TCP_PROTO=tcp", "PIMSD_OPS_PORT=tcp://10.0.0.2:9464",
	}}.mustLoad(t)
	for _, entry := range []string{"PIMSD_PORT=8080", "PIMSD_LISTEN_PORT=80", "PIMSD_HOST=h"} {
		if _, err := (environment{environ: []string{entry}}).load(t); err == nil {
			t.Errorf("%s was taken for a service link", entry)
		}
	}
}

// Whatever is wrong with a configuration, its report must not show a secret.
func TestFaultsKeepSecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-1f9e"
	for _, w := range []environment{
		{environ: []string{"PIMSD_DATABASE_URL=mysql://u:" + canary + "@h/d"}},
		{environ: []string{"PIMSD_DATABASE_URL=postgres://u:" + canary + "%zz@h/d"}},
		{environ: []string{"PIMSD_INWEBO_URL=https://u:" + canary + "@h"}},
		{environ: []string{"PIMSD_DATABASE_URL_FILE=/s"}, files: map[string]string{"/s": canary}},
		{files: map[string]string{"pimsd.yaml": "database_url: postgres://u:" + canary + "@h/d\nlisten: \"\n"}},
		{files: map[string]string{"pimsd.yaml": "database_url: |" + canary + "\n  x\n"}},
		{files: map[string]string{"pimsd.yaml": "database_url: {" + canary + ": 1}\n"}},
		{files: map[string]string{"pimsd.yaml": "database_url: !" + canary + " x\n"}},
		{files: map[string]string{"pimsd.yaml": "%YAML " + canary + "\n---\nlisten: x\n"}},
	} {
		_, err := w.load(t)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%v: the report is %v", w, err)
		}
	}
}
