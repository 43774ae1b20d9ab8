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
