package seal_test

import (
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// deviceVault is as long as the vault of an enrolled device.
func deviceVault() secret.Bytes { return vault(strings.Repeat("0123456789", 25)) }

func BenchmarkSeal(b *testing.B) {
	for name, ring := range map[string]*seal.Ring{"text": ringOf(b, line(1)), "file": openFile(b, newFile(b), false)} {
		b.Run(name, func(b *testing.B) {
			plain := deviceVault()
			b.ReportAllocs()
			for b.Loop() {
				ring.Seal(seal.Vault, "alice", plain)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	ring := ringOf(b, line(1))
	sealed := ring.Seal(seal.Vault, "alice", deviceVault())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Open(seal.Vault, "alice", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
