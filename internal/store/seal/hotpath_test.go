package seal_test

import (
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/hotpath"
)

// deviceVault is as long as the vault of an enrolled device.
func deviceVault() secret.Bytes { return vault(strings.Repeat("0123456789", 25)) }

func hotSteps(tb testing.TB) []hotpath.Step {
	tb.Helper()
	text, file := keyringOf(tb, line(1)), openFile(tb, newFile(tb), false)
	plain := deviceVault()
	sealed := text.Seal(seal.Vault, "alice", plain)
	return []hotpath.Step{
		{Name: "seal", Most: 21, Do: func() { text.Seal(seal.Vault, "alice", plain) }},
		{Name: "seal by a file", Most: 23, Do: func() { file.Seal(seal.Vault, "alice", plain) }},
		{Name: "open", Most: 20, Do: func() {
			if _, err := text.Open(seal.Vault, "alice", sealed); err != nil {
				tb.Fatal(err)
			}
		}},
	}
}

func TestAllocations(t *testing.T) { hotpath.Test(t, hotSteps(t)) }

func BenchmarkHotPath(b *testing.B) { hotpath.Benchmark(b, hotSteps(b)) }
