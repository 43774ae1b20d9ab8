package seal_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// FuzzOpen: refuse, or round-trip. What opens, opens again after it was sealed again; and nothing opens that is not, byte
// for byte, one of the vectors: nothing else was sealed under that keyring.
func FuzzOpen(f *testing.F) {
	v := readVectors(f)
	keyring := keyringOf(f, v.Ring...)
	known := map[string]bool{}
	for _, tc := range v.Sealed {
		f.Add(tc.Purpose, tc.Account, unhex(f, tc.Sealed))
		if tc.Expect == "opens" {
			known[tc.Purpose+"\x00"+tc.Account+"\x00"+tc.Sealed] = true
		}
	}
	f.Fuzz(func(t *testing.T, purposeName, accountName string, sealed []byte) {
		purpose, account := seal.Purpose(purposeName), otp.Account(accountName)
		plain, err := keyring.Open(purpose, account, sealed)
		if err != nil {
			if !plain.IsEmpty() {
				t.Fatal("an error comes with content")
			}
			return
		}
		if !known[purposeName+"\x00"+accountName+"\x00"+hex.EncodeToString(sealed)] {
			t.Fatalf("something opens that was never sealed: %x", sealed)
		}
		again, err := keyring.Open(purpose, account, keyring.Seal(purpose, account, plain))
		if err != nil || !bytes.Equal(again.Reveal(), plain.Reveal()) {
			t.Fatalf("sealed again, it opens as something else (%v)", err)
		}
	})
}

// FuzzKeyring: refuse, or round-trip. A text that is taken returns a keyring whose keys, each on a line of its own, are the same
// keyring again; and no error repeats a line.
func FuzzKeyring(f *testing.F) {
	for _, text := range []string{
		"", "#", line(1), line(1) + "\n" + line(2), "# old\n\n " + line(1) + " \r\n", line(1) + "\n" + line(1),
		string(idOf(f, line(1))) + ":" + line(1), "00000000:" + line(1), line(1)[1:], line(1) + ":", ":" + line(1),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keyring, err := seal.FromText("the keyring", secret.NewText(text))
		if err != nil {
			for line := range strings.FieldsSeq(text) {
				if len(line) > 30 && strings.Contains(err.Error(), line) {
					t.Fatalf("an error repeats what it was given: %v", err)
				}
			}
			return
		}
		ids := keyring.Keys()
		if len(ids) == 0 || ids[0] != keyring.Current() {
			t.Fatalf("a keyring has the keys %v and %q as the current one", ids, keyring.Current())
		}
		if again := keyringOf(t, seal.Format(keyring)); !slices.Equal(again.Keys(), ids) {
			t.Fatalf("the keys %v, written and read again, are %v", ids, again.Keys())
		}
	})
}
