package app

import (
	"os"
	"regexp"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

// The issuers that the manual shows can be used as they stand.
func TestTheManualsIssuersCanBeUsed(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(- name: .*?)```").FindSubmatch(manual)
	if example == nil {
		t.Fatal("the manual shows no issuers")
	}
	c, err := config.Load(config.Input{
		Environ:  []string{"PIMSD_JWT_ISSUERS_FILE=issuers.yaml", "PIMSD_DATA_DIR=/d"},
		ReadFile: func(string) ([]byte, error) { return example[1], nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if trusted := c.JWT.Issuers; len(trusted) < 2 || authn.CheckIssuers(trusted) != nil {
		t.Errorf("%d issuers: %v", len(trusted), authn.CheckIssuers(trusted))
	}
}
