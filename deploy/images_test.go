package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

// byDigest is an image that can be no other tomorrow: for people by its version, for machines by its digest.
var byDigest = regexp.MustCompile(`^[a-z/]+:v?\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}$`)

func TestImagesOfOthersAreNamedByDigest(t *testing.T) {
	t.Parallel()
	var named []string
	for _, found := range regexp.MustCompile(`(?m)^(?:FROM|ARG \w+=)\s*(\S+)`).FindAllStringSubmatch(read(t, "../Dockerfile"), -1) {
		if image := found[1]; image != "scratch" && image != "settings" && !strings.HasPrefix(image, "${") {
			named = append(named, image)
		}
	}
	for _, service := range demonstration(t).Services {
		if service.Image != "pimsd" {
			named = append(named, service.Image)
		}
	}
	if len(named) != 4 {
		t.Errorf("the images of others are %q", named)
	}
	for _, image := range named {
		if !byDigest.MatchString(image) {
			t.Errorf("%s may be another image tomorrow", image)
		}
	}
}
