package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The Debian package is built as a release builds it, and installed, upgraded, removed and purged in a folder of its own. The test needs
// root, because dpkg sets the owners of files.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("dpkg installs nothing without root")
	}
	m := newMachine(t)
	first, second := m.build(t, "0.1.0"), m.build(t, "0.2.0")

	said := m.dpkg(t, "--install", first)
	m.expectManager(t, "daemon-reload")
	told := regexp.MustCompile(`pimsd check --config (\S+);`).FindStringSubmatch(said)
	if told == nil {
		t.Fatalf("the installation says %s", said)
	}
	if findings := m.check(t, told[1]); !strings.Contains(findings, `"settings"`) || strings.Contains(findings, "pimsd.yaml:") {
		t.Errorf("the installed configuration pins settings, or is not read:\n%s", findings)
	}
	m.expectUnit(t, told[1])

	config := m.below(told[1])
	if err := os.WriteFile(config, []byte("listen: \"127.0.0.1:18080\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	devices := m.below("/var/lib/private/pimsd/pimsd.db")
	if err := os.MkdirAll(filepath.Dir(devices), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(devices, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.dpkg(t, "--install", second)
	m.expectManager(t, "daemon-reload", "daemon-reload", "try-restart pimsd.service") // the first by the old package's postrm
	if findings := m.check(t, told[1]); !strings.Contains(findings, `"value": "127.0.0.1:18080"`) {
		t.Errorf("after an upgrade the check finds\n%s", findings)
	}

	m.dpkg(t, "--remove", "pimsd")
	m.expectManager(t, "disable --now pimsd.service", "daemon-reload")
	if _, err := os.Stat(config); err != nil {
		t.Errorf("removing the package removes the configuration: %v", err)
	}
	m.dpkg(t, "--purge", "pimsd")
	m.expectManager(t, "daemon-reload")
	if _, err := os.Stat(filepath.Dir(config)); err == nil {
		t.Error("purging the package leaves its configuration")
	}
	if _, err := os.Stat(devices); err != nil {
		t.Errorf("purging the package removes the devices: %v", err)
	}
}

// machine is a folder in which packages are installed, with a service manager that only records its commands.
type machine struct {
	root, work, commands string // the last is a file
	read                 int    // bytes of it
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{root: t.TempDir(), work: t.TempDir()}
	m.commands = filepath.Join(m.work, "commands")
	for name, content := range map[string]string{
		filepath.Join(m.root, "var/lib/dpkg/status"): "",
		filepath.Join(m.work, "systemctl"):           "#!/bin/sh\necho \"$*\" >>" + m.commands + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(m.below("/var/lib/dpkg/"+folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "../scripts/completions", m.completions())
	return m
}

func (m *machine) completions() string { return filepath.Join(m.work, "completions") }

func (m *machine) below(path string) string { return filepath.Join(m.root, path) }

// build makes the package that .goreleaser.yaml describes, with this program. Its scripts find a service manager.
func (m *machine) build(t *testing.T, version string) string {
	t.Helper()
	var release struct{ Nfpms []map[string]any }
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yaml")), &release); err != nil || len(release.Nfpms) != 1 {
		t.Fatalf("the release has %d packages, %v", len(release.Nfpms), err)
	}
	described := release.Nfpms[0]
	contents := []any{map[string]any{"src": pimsd, "dst": described["bindir"].(string) + "/pimsd", "file_info": map[string]any{"mode": 0o755}}}
	for _, content := range described["contents"].([]any) {
		content := content.(map[string]any)
		if src, ok := content["src"].(string); ok {
			content["src"] = strings.Replace(src, "dist-completions", m.completions(), 1)
		}
		contents = append(contents, content)
	}
	scripts := map[string]any{}
	for when, script := range described["scripts"].(map[string]any) {
		text := strings.ReplaceAll(read(t, "../"+script.(string)), "/run/systemd/system", m.work)
		scripts[when] = filepath.Join(m.work, when)
		if err := os.WriteFile(filepath.Join(m.work, when), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	maps.Copy(described, map[string]any{"name": "pimsd", "arch": "amd64", "version": version, "contents": contents, "scripts": scripts})
	for _, ofReleases := range []string{"formats", "bindir", "mtime"} {
		delete(described, ofReleases)
	}
	config, err := json.Marshal(described)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(m.work, "nfpm.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(m.work, version+".deb")
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/goreleaser.mod", "nfpm", "package", "-f", file, "-p", "deb", "-t", made)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nfpm: %v\n%s", err, out)
	}
	return made
}

func (m *machine) dpkg(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "dpkg", append([]string{"--root=" + m.root, "--force-script-chrootless", "--force-architecture"},
		args...)...)
	cmd.Env = append(os.Environ(), "PATH="+m.work+":"+os.Getenv("PATH"), "DPKG_ROOT="+m.root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// expectManager checks the commands that the service manager has received since the last call.
func (m *machine) expectManager(t *testing.T, want ...string) {
	t.Helper()
	content, err := os.ReadFile(m.commands)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(content[m.read:])); got != strings.Join(want, "\n") {
		t.Errorf("the service manager received %q, want %q", got, want)
	}
	m.read = len(content)
}

// check runs the installed program on an installed file of settings. It fails, because nothing answers for inWebo.
func (m *machine) check(t *testing.T, config string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.below("/usr/bin/pimsd"), "check", "--config", m.below(config), "--json")
	cmd.Env = []string{"PIMSD_DATA_DIR=" + filepath.Join(m.work, "data"), "PIMSD_INWEBO_URL=http://127.0.0.1:1"}
	out, _ := cmd.Output()
	return string(out)
}

// expectUnit expects that the installed unit names what is installed, and that it is the one that other tests judge.
func (m *machine) expectUnit(t *testing.T, config string) {
	t.Helper()
	installed, err := os.ReadFile(m.below("/usr/lib/systemd/system/pimsd.service"))
	if err != nil || string(installed) != read(t, unit) {
		t.Fatalf("the installed unit is another one: %v", err)
	}
	program := regexp.MustCompile(`(?m)^ExecStart=(\S+) serve$`).FindStringSubmatch(string(installed))
	credentials := regexp.MustCompile(`(?m)^LoadCredential=pimsd:(\S+)$`).FindStringSubmatch(string(installed))
	if program == nil || credentials == nil || !strings.Contains(string(installed), "\nEnvironment=PIMSD_CONFIG="+config+"\n") {
		t.Fatalf("the unit is\n%s", installed)
	}
	for path, mode := range map[string]os.FileMode{program[1]: 0o755, credentials[1]: os.ModeDir | 0o700, config: 0o644} {
		if info, err := os.Stat(m.below(path)); err != nil || info.Mode() != mode {
			t.Errorf("%s is installed as %v, %v", path, info, err)
		}
	}
}
