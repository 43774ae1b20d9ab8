package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/pimsd/pimsd/internal/config"
)

const (
	chart      = "helm/pimsd"
	kubernetes = "1.33.0" // that the chart is rendered for
)

var (
	helmOnce sync.Once
	helmPath string
)

// The shapes of the chart, with what they need.
var (
	onSQLite   = []string{}
	onPostgres = []string{"--set", "store.kind=postgres,replicas=2,store.existingSecret=pimsd"}
	everything = []string{
		"--set", "serviceMonitor.enabled=true,service.type=LoadBalancer,settings.log.level=debug,image.pullSecrets[0].name=x",
		"--set", "networkPolicy.operators[0].namespaceSelector.matchLabels.name=watch,networkPolicy.callers[0].ipBlock.cidr=10.0.0.0/8",
		"--set", "tls.existingSecret=shop-tls,inwebo.proxySecret=proxy,inwebo.caConfigMap=ca,inwebo.clientCertSecret=client",
		"--set", "issuers[0].name=login,issuers[0].url=https://login.example.com/,issuers[0].jwks_url=https://login.example.com/jwks",
		"--set", "issuers[0].audiences={pimsd},issuers[0].account_prefix=login/",
		"--set", "administration.enabled=true,networkPolicy.administrators[0].podSelector.matchLabels.name=admin",
		"--set", "networkPolicy.egress[0].to[0].ipBlock.cidr=10.0.0.0/8,networkPolicy.egress[0].ports[0].port=443",
		"--set", "serviceAccount.annotations.a=b,podAnnotations.a=b,podLabels.a=b,nodeSelector.a=b,store.storageClass=fast,image.digest=sha256:" +
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	}
)

func shapes() map[string][]string {
	return map[string][]string{
		"SQLite": onSQLite, "PostgreSQL": onPostgres,
		"SQLite with everything": everything, "PostgreSQL with everything": slices.Concat(onPostgres, everything),
	}
}

func helm(t *testing.T, args ...string) (out, all string, err error) {
	t.Helper()
	return try(t, helmProgram(t), args...)
}

// helmProgram returns where the go command keeps helm, which it builds the first time. Asked each time, it would look at all of helm's
// packages.
func helmProgram(t *testing.T) string {
	t.Helper()
	helmOnce.Do(func() { helmPath = strings.TrimSpace(output(t, "go", "tool", "-n", "helm")) })
	return helmPath
}

func render(t *testing.T, values []string) (out, all string, err error) {
	t.Helper()
	return helm(t, append([]string{"template", "shop", chart, "--namespace", "cars", "--kube-version", kubernetes}, values...)...)
}

func TestTheChartIsClean(t *testing.T) {
	for name, values := range shapes() {
		if _, all, err := helm(t, append([]string{"lint", "--strict", "--kube-version", kubernetes, chart}, values...)...); err != nil {
			t.Errorf("%s: %v\n%s", name, err, all)
		}
	}
}

// What the chart makes is what the API takes, name by name.
func TestTheChartMakesWhatTheAPITakes(t *testing.T) {
	schemas := writeSchemas(t)
	for name, values := range shapes() {
		rendered, all, err := render(t, values)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, all)
		}
		file := filepath.Join(t.TempDir(), "rendered.yaml")
		if err := os.WriteFile(file, []byte(rendered), 0o600); err != nil {
			t.Fatal(err)
		}
		out := output(t, "go", "tool", "kubeconform", "-strict", "-summary", "-output", "json",
			"-schema-location", schemas+"/{{ .ResourceKind }}{{ .KindSuffix }}.json", file)
		var told struct {
			Summary struct{ Valid, Invalid, Errors, Skipped int }
		}
		if err := json.Unmarshal([]byte(out), &told); err != nil {
			t.Fatal(err)
		}
		if s := told.Summary; s.Valid != strings.Count(rendered, "\nkind: ") || s.Invalid+s.Errors+s.Skipped > 0 || s.Valid < 5 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// The one wrong thing in each of these is named in a sentence.
func TestWrongCombinationsAreRefused(t *testing.T) {
	usual := config.Default()
	usualStop := (longestStop(usual) - usual.Stop.DrainDelay).Seconds()
	for values, want := range map[string]string{
		"replicas=2":                                 "replicas must be 1 with store.kind sqlite: the devices are on the volume of one pod",
		"store.kind=postgres,replicas=2":             "store.existingSecret is missing: with store.kind postgres it must name a Secret",
		"store.kind=postgres,store.existingSecret=x": "replicas must be 2 or more with store.kind postgres",
		"store.kind=mysql":                           "value must be one of 'sqlite', 'postgres'",
		"replica=1":                                  "additional properties 'replica' not allowed",
		"settings.log.levle=info":                    "at '/settings/log': additional properties 'levle' not allowed",
		"settings.log.level=loud":                    "at '/settings/log/level': value must be one of 'debug', 'info', 'warn', 'error'",
		"settings.load.in_flight=many":               "at '/settings/load/in_flight': got string, want integer",
		"settings.load.in_flight=0":                  "at '/settings/load/in_flight': minimum: got 0, want 1",
		"settings.pin_guard.pause=5":                 "at '/settings/pin_guard/pause': got number, want string",
		"settings.pin_guard.pause=5 seconds":         "at '/settings/pin_guard/pause': '5 seconds' does not match pattern",
		"issuers[0].name=login":                      "at '/issuers/0': missing properties 'url', 'jwks_url', 'audiences'",
		"image.digest=latest":                        "does not match pattern",
		"replicas=0":                                 "minimum: got 0, want 1",
		fmt.Sprintf("stopSeconds=%.0f", usualStop):   fmt.Sprintf("stopSeconds must be more than %.0f with these settings", usualStop),
		"settings.conversation.deadline=17s":         "stopSeconds must be more than 48 with these settings",
		"settings.conversation.deadline=300s":        "stopSeconds must be more than 614 with these settings",
		"settings.conversation.deadline=1m":          "does not match pattern",
		"settings.conversation.deadline=090s":        "does not match pattern",
		"settings.conversation.deadline=0s":          "does not match pattern",
		"settings.conversation.deadline=1000s":       "does not match pattern",
		"serviceMonitor.enabled=true":                "networkPolicy.operators is empty, which keeps out the Prometheus of serviceMonitor.enabled",
	} {
		if out, all, err := render(t, []string{"--set", values}); err == nil || !strings.Contains(all, want) || out != "" {
			t.Errorf("--set %s: %v\n%s\nwant %q", values, err, all, want)
		}
	}
}

// A setting that the chart decides, or that is a secret or a file, is refused with the value that says it instead; every other setting
// can be given.
func TestSettingsHaveOnePlace(t *testing.T) {
	t.Parallel()
	places := map[string]string{
		"listen": "service.port", "ops.listen": "networkPolicy.operators", "admin.listen": "administration.enabled", "data_dir": "store.size",
		"maintenance": "use maintenance", "database_url": "store.existingSecret", "seal.keys": "store.existingSecret",
		"stop.drain_delay": "drainDelaySeconds", "tls.cert_file": "tls.existingSecret", "tls.key_file": "tls.existingSecret",
		"http.allow_plain": "tls.existingSecret", "jwt.issuers_file": "use issuers", "inwebo.proxy_url": "inwebo.proxySecret",
		"inwebo.ca_file": "inwebo.caConfigMap", "inwebo.client_cert_file": "inwebo.clientCertSecret",
		"inwebo.client_key_file": "inwebo.clientCertSecret",
	}
	given := config.Default()
	var allowed []string
	for _, setting := range given.Effective() {
		place, decided := places[setting.Key]
		delete(places, setting.Key)
		switch values := []string{"--set-string", "settings." + setting.Key + "=x"}; {
		case decided:
			out, all, err := render(t, values)
			if want := "settings." + setting.Key + " cannot be given"; err == nil || !strings.Contains(all, want) || !strings.Contains(all, place) {
				t.Errorf("%s: %v\n%s%s\nwant %q and %q", setting.Key, err, out, all, want, place)
			}
		case setting.Text != "" && setting.Key != "conversation.deadline":
			allowed = append(allowed, "settings."+setting.Key+"="+strings.ReplaceAll(setting.Text, ",", `\,`))
		}
	}
	if len(places) > 0 {
		t.Errorf("these are no settings: %v", places)
	}
	if _, all, err := render(t, []string{"--set", strings.Join(allowed, ",")}); err != nil || len(allowed) < 15 {
		t.Errorf("the defaults of %q: %v\n%s", allowed, err, all)
	}
}

// Helm passes numbers on as it has read them.
func TestLargeNumbersStayNumbers(t *testing.T) {
	t.Parallel()
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte("settings: {load: {in_flight: 1000000}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, all, err := render(t, []string{"--values", values})
	if err != nil {
		t.Fatalf("%v\n%s", err, all)
	}
	_, settings, _ := strings.Cut(out, "pimsd.yaml: |\n")
	settings, _, _ = strings.Cut(settings, "\n---")
	if _, err := config.Load(config.Input{
		Environ: []string{"PIMSD_CONFIG=pimsd.yaml", "PIMSD_DATA_DIR=/data"}, ReadFile: func(string) ([]byte, error) { return []byte(settings), nil },
	}); err != nil {
		t.Errorf("the settings %q: %v", settings, err)
	}
}

// What the chart's document has one type is a chart that can be made.
func TestTheChartsCommandsRun(t *testing.T) {
	installs := regexp.MustCompile(`(?m)^    helm install cars pimsd/(.*)$`).FindAllStringSubmatch(read(t, chart+"/README.md"), -1)
	if len(installs) != 2 {
		t.Fatalf("the document installs %q", installs)
	}
	for _, install := range installs {
		if out, all, err := render(t, strings.Fields(install[1])); err != nil || out == "" {
			t.Errorf("helm install%s: %v\n%s", install[1], err, all)
		}
	}
}

// pods returns the pods of the chart's shapes, by shape, with how many there are of each.
func pods(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	found := map[string]corev1.PodTemplateSpec{}
	for name, values := range shapes() {
		rendered, all, err := render(t, values)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, all)
		}
		for document := range strings.SplitSeq(rendered, "\n---\n") {
			switch {
			case strings.Contains(document, "\nkind: StatefulSet\n"):
				var set appsv1.StatefulSet
				strictly(t, document, &set)
				if *set.Spec.Replicas != 1 || len(set.Spec.VolumeClaimTemplates) != 1 {
					t.Errorf("%s has %d replicas and %d volumes", name, *set.Spec.Replicas, len(set.Spec.VolumeClaimTemplates))
				}
				found[name] = set.Spec.Template
			case strings.Contains(document, "\nkind: Deployment\n"):
				var deployment appsv1.Deployment
				strictly(t, document, &deployment)
				if *deployment.Spec.Replicas < 2 || deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
					t.Errorf("%s: %+v", name, deployment.Spec)
				}
				found[name] = deployment.Spec.Template
			}
		}
	}
	if len(found) != len(shapes()) {
		t.Errorf("pods are made by %v", slices.Collect(maps.Keys(found)))
	}
	return found
}

func strictly(t *testing.T, document string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
		t.Fatal(err)
	}
}

// The pods pass the API's own strictest judge of pods.
func TestPodsAreRestricted(t *testing.T) {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	strictest := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	for name, pod := range pods(t) {
		for _, result := range checks.EvaluatePod(strictest, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s (%s)", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		for _, container := range pod.Spec.Containers {
			if !*container.SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s: the root file system can be written", name)
			}
			for _, probe := range []*corev1.Probe{container.LivenessProbe, container.ReadinessProbe, container.StartupProbe} {
				if probe.HTTPGet.Port.String() != "ops" {
					t.Errorf("%s: a probe asks at %s", name, probe.HTTPGet.Port.String())
				}
			}
		}
	}
}

// What the pods say in their environment is a configuration, and they may take as long to stop as it takes.
func TestPodsAreConfigured(t *testing.T) {
	issuers := map[string]string{}
	for name, values := range shapes() {
		issuers[name] = issuersOf(t, values)
	}
	for name, pod := range pods(t) {
		var environ []string
		for _, entry := range pod.Spec.Containers[0].Env {
			environ = append(environ, entry.Name+"="+entry.Value)
		}
		c, err := config.Load(config.Input{Environ: environ, ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "/etc/pimsd/pimsd.yaml":
				return []byte("log:\n  level: debug\n"), nil
			case "/run/secrets/pimsd/seal.keys", "/run/secrets/pimsd/database_url":
				return []byte("postgres://host/database"), nil
			case "/run/secrets/inwebo-proxy/proxy_url":
				return []byte("http://proxy:3128"), nil
			case "/etc/pimsd/issuers.yaml":
				return []byte(issuers[name]), nil
			default:
				return nil, fmt.Errorf("no such file: %s", path)
			}
		}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkFiles(t, name, c, &pod.Spec)
		if onPostgres := strings.HasPrefix(name, "PostgreSQL"); c.DatabaseURL.IsEmpty() == onPostgres || c.Stop.DrainDelay != 5*time.Second {
			t.Errorf("%s: %+v", name, c)
		}
		if given := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second; given <= longestStop(c) {
			t.Errorf("%s: the pod may take %v to stop, and takes %v", name, given, longestStop(c))
		}
	}
}

// issuersOf returns the file of issuers that the chart makes; empty when it makes none.
func issuersOf(t *testing.T, values []string) string {
	t.Helper()
	rendered, all, err := render(t, values)
	if err != nil {
		t.Fatalf("%v\n%s", err, all)
	}
	for document := range strings.SplitSeq(rendered, "\n---\n") {
		if strings.Contains(document, "\nkind: ConfigMap\n") {
			var made corev1.ConfigMap
			strictly(t, document, &made)
			return made.Data["issuers.yaml"]
		}
	}
	return ""
}

// checkFiles holds the files that the settings name against what is mounted.
func checkFiles(t *testing.T, shape string, c *config.Config, pod *corev1.PodSpec) {
	t.Helper()
	everything := strings.HasSuffix(shape, "everything")
	named := []string{c.TLS.CertFile, c.TLS.KeyFile, c.Inwebo.CAFile, c.Inwebo.ClientCertFile, c.Inwebo.ClientKeyFile, c.JWT.IssuersFile}
	for _, secret := range c.SecretFiles() {
		named = append(named, secret.Path)
	}
	for _, path := range named {
		mounted := slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return filepath.Dir(path) == m.MountPath })
		if (path != "") != mounted || path == "" && everything {
			t.Errorf("%s: the file %q is mounted: %v", shape, path, mounted)
		}
	}
	if everything && (len(c.JWT.Issuers) != 1 || c.Inwebo.ProxyURL.IsEmpty() || c.HTTP.AllowPlain) {
		t.Errorf("%s: %+v", shape, c)
	}
	for _, mount := range pod.Containers[0].VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) && mount.Name != "data" {
			t.Errorf("%s: there is no volume %s", shape, mount.Name)
		}
	}
}
