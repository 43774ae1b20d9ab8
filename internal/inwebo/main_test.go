package inwebo_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain sets the proxy variables of the environment before anything can have read them: they must not matter.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
