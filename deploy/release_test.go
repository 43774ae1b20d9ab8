package deploy_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

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

// What goes into an archive or a package has the time of the commit, and its owner is root: the same commit makes the same files on any
// machine, at any time. The names are those of goreleaser, which docs/verify.md has.
func TestReleasesAreReproducible(t *testing.T) {
	t.Parallel()
	type info struct{ Owner, Group, Mtime string }
	var release struct {
		Project string `json:"project_name"`
		Builds  []struct {
			Flags []string
			Time  string `json:"mod_timestamp"`
		}
		Archives []struct {
			Name       string `json:"name_template"`
			BuildsInfo info   `json:"builds_info"`
			Files      []struct {
				Src  string
				Info info
			}
		}
		Packages []struct {
			Name  string `json:"file_name_template"`
			Mtime string
		} `json:"nfpms"`
		SBOMs []struct {
			Documents, Args []string
			Artifacts       string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Builds) != 1 || len(release.Archives) != 1 || len(release.Packages) != 1 || len(release.SBOMs) != 2 {
		t.Fatalf("a release has %+v", release)
	}
	const commit = "{{ .CommitDate }}"
	build, archive, made := release.Builds[0], release.Archives[0], info{Owner: "root", Group: "root", Mtime: commit}
	if build.Time != "{{ .CommitTimestamp }}" || !slices.Contains(build.Flags, "-trimpath") {
		t.Errorf("the builds are %+v", build)
	}
	if archive.BuildsInfo != made || len(archive.Files) == 0 {
		t.Errorf("the program in an archive has %+v", archive.BuildsInfo)
	}
	for _, file := range archive.Files {
		if file.Info != made {
			t.Errorf("%s in an archive has %+v", file.Src, file.Info)
		}
	}
	if mtime := release.Packages[0].Mtime; mtime != commit {
		t.Errorf("the files of a package have the time %q", mtime)
	}
	if release.Project != "pimsd" || archive.Name+release.Packages[0].Name != "" || len(release.SBOMs[0].Documents)+len(release.SBOMs[1].Documents) > 0 {
		t.Errorf("docs/verify.md has other names than %+v", release)
	}
	if of := []string{release.SBOMs[0].Artifacts, release.SBOMs[1].Artifacts}; !slices.Equal(of, []string{"archive", "package"}) {
		t.Errorf("there are SBOMs of %v", of)
	}
	for _, sbom := range release.SBOMs { // without arguments, goreleaser lets syft ask registries
		if len(sbom.Args) == 0 || slices.Contains(sbom.Args, "--enrich") {
			t.Errorf("SBOMs are made with %v", sbom.Args)
		}
	}
}

// The commands of docs/verify.md name what .goreleaser.yaml and the workflow make.
func TestVerifyDocumentNamesWhatAReleaseHas(t *testing.T) {
	t.Parallel()
	var release struct {
		Release struct {
			GitHub struct{ Owner, Name string } `json:"github"`
		}
		Checksum struct {
			Name string `json:"name_template"`
		}
		Signs   []struct{ Signature string }
		Dockers []struct{ Images []string } `json:"dockers_v2"`
		Builds  []struct{ Env, Flags, Ldflags []string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	const workflow = ".github/workflows/release.yml"
	sums, build := release.Checksum.Name, release.Builds[0]
	repository := release.Release.GitHub.Owner + "/" + release.Release.GitHub.Name
	identity := "--certificate-identity https://github.com/" + repository + "/" + workflow + "@refs/tags/v0.1.0 "
	document := read(t, "../docs/verify.md")
	for command, times := range map[string]int{
		identity: 2,
		"--certificate-oidc-issuer https://token.actions.githubusercontent.com\n":                                         2,
		"cosign verify-blob " + sums + " --bundle " + strings.ReplaceAll(release.Signs[0].Signature, "${artifact}", sums): 1,
		"sha256sum --check --ignore-missing " + sums + "\n":                                                               1,
		"gh attestation verify pimsd_0.1.0_linux_amd64.tar.gz --repo " + repository + "\n":                                1,
		"cosign verify " + release.Dockers[0].Images[0] + ":0.1.0 ":                                                       1,
		"tar -xzf pimsd_0.1.0_linux_amd64.tar.gz\n":                                                                       1,
		strings.Join(build.Env, " ") + " go build " + strings.Join(build.Flags, " ") + " -ldflags='" + strings.Join(build.Ldflags, " ") +
			"' -o pimsd ./cmd/pimsd\n": 1,
	} {
		if found := strings.Count(document, command); found != times {
			t.Errorf("docs/verify.md has %q %d times, want %d", command, found, times)
		}
	}
	for _, needed := range []string{`tags: ["v*"]`, "make publish", "subject-checksums: dist/" + sums} {
		if !strings.Contains(read(t, "../"+workflow), needed) {
			t.Errorf("%s lacks %q", workflow, needed)
		}
	}
}
