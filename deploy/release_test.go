package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// What releases are made of is there, the unit is put where its paths say, and the package's scripts are ones that a shell reads.
func TestReleasesAreMadeOfWhatIsThere(t *testing.T) {
	t.Parallel()
	var release struct {
		Nfpms []struct {
			Bindir   string
			Scripts  map[string]string
			Contents []struct{ Src, Dst, Type string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Nfpms) != 1 || len(release.Nfpms[0].Contents) < 5 {
		t.Fatalf("the release has the packages %+v", release.Nfpms)
	}
	made := t.TempDir()
	output(t, "../scripts/completions", made)
	put := map[string]bool{}
	for _, content := range release.Nfpms[0].Contents {
		put[content.Dst] = true
		from := filepath.Join("..", content.Src)
		if name, ok := strings.CutPrefix(content.Src, "dist-completions/"); ok {
			from = filepath.Join(made, name)
		}
		if info, err := os.Stat(from); content.Type != "dir" && (err != nil || info.Size() == 0) {
			t.Errorf("%s: %v", content.Src, err)
		}
	}
	for _, script := range release.Nfpms[0].Scripts {
		output(t, "sh", "-n", filepath.Join("..", script))
	}
	text := read(t, unit)
	for _, path := range []string{"/etc/pimsd/pimsd.yaml", "/etc/pimsd/credentials"} {
		if !put[path] || !strings.Contains(text, path) {
			t.Errorf("the unit and the package do not agree on %s", path)
		}
	}
	if !strings.Contains(text, "ExecStart="+release.Nfpms[0].Bindir+"/pimsd serve\n") {
		t.Errorf("the unit starts another program than the package brings to %s", release.Nfpms[0].Bindir)
	}
}

// Of a release everything is signed: the list of checksums, which has every file, and each image. The actions that do it are named by
// commits, which do not move as tags do, and no workflow may do more than it says.
func TestReleasesAreSigned(t *testing.T) {
	t.Parallel()
	var release struct {
		Signs       []struct{ Artifacts string }
		DockerSigns []struct{ Artifacts string } `json:"docker_signs"`
		Dockers     []struct {
			Platforms  []string
			ExtraFiles []string `json:"extra_files"`
		} `json:"dockers_v2"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Signs) != 1 || release.Signs[0].Artifacts != "checksum" || len(release.DockerSigns) != 1 || len(release.Dockers) != 1 {
		t.Errorf("signed are %+v", release)
	}
	if platforms := release.Dockers[0].Platforms; !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("the images are for %v", platforms)
	}
	workflows, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(workflows) != 2 {
		t.Fatalf("the workflows are %v, %v", workflows, err)
	}
	for _, file := range workflows {
		text := read(t, file)
		for _, used := range regexp.MustCompile(`uses: (.*)`).FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`).MatchString(used[1]) {
				t.Errorf("%s: %s may be another action tomorrow", file, used[1])
			}
		}
		if !strings.Contains(text, "\npermissions: {") {
			t.Errorf("%s has all permissions", file)
		}
	}
}

// What the package tells to check after installation is the configuration that it has installed, in which nothing is pinned.
func TestInstalledConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	told := regexp.MustCompile(`pimsd check --config (\S+);`).FindStringSubmatch(read(t, "deb/postinstall"))
	if told == nil || !strings.Contains(read(t, "../.goreleaser.yaml"), "src: pimsd.example.yaml, dst: "+told[1]+", type: config|noreplace") ||
		!strings.Contains(read(t, unit), "PIMSD_CONFIG="+told[1]) {
		t.Fatalf("the package says %q", told)
	}
	config, err := filepath.Abs("../pimsd.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), pimsd, "check", "--config", config, "--json")
	cmd.Env = []string{
		"PIMSD_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "PIMSD_INWEBO_URL=http://127.0.0.1:1", "PIMSD_LISTEN=127.0.0.1:0",
		"PIMSD_OPS_LISTEN=127.0.0.1:0",
	}
	out, _ := cmd.Output() // it fails, because nothing answers for inWebo
	if !strings.Contains(string(out), `"settings"`) || strings.Contains(string(out), "pimsd.example.yaml:") {
		t.Errorf("the check says %s", out)
	}
}
