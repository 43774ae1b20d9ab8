package seal_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// vectors are what another implementation of the sealed form has made, of its description alone. Records that were
// sealed must open for ever: its content never changes.
type vectors struct {
	Ring   []string
	Sealed []struct {
		Name, Purpose, Account, Sealed, Plaintext string
		Expect                                    string // "opens", "damaged", or "missing" and the key's id
	}
	MACs []struct{ Purpose, Data, MAC string }
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	must(t, err)
	must(t, json.Unmarshal(text, &v))
	if len(v.Sealed) == 0 || len(v.MACs) == 0 {
		t.Fatal("there are no vectors")
	}
	return v
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	must(t, err)
	return raw
}

func TestVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	keyring := keyringOf(t, v.Ring...)
	for _, tc := range v.Sealed {
		plain, err := keyring.Open(seal.Purpose(tc.Purpose), otp.Account(tc.Account), unhex(t, tc.Sealed))
		id, missing := strings.CutPrefix(tc.Expect, "missing ")
		switch {
		case tc.Expect == "opens":
			if err != nil || !bytes.Equal(plain.Reveal(), unhex(t, tc.Plaintext)) {
				t.Errorf("%s: it opens as something else (%v)", tc.Name, err)
			}
		case tc.Expect == "damaged":
			if !errors.Is(err, seal.ErrDamaged) || errors.Is(err, otp.ErrSealed) || !strings.Contains(err.Error(), tc.Account) {
				t.Errorf("%s: the error is %v", tc.Name, err)
			}
		case missing:
			if !errors.Is(err, otp.ErrSealed) || errors.Is(err, seal.ErrDamaged) || !strings.Contains(err.Error(), id) {
				t.Errorf("%s: the error is %v, want one that names key %s", tc.Name, err, id)
			}
		default:
			t.Fatalf("%s: what is to be expected?", tc.Name)
		}
		if err != nil && (!plain.IsEmpty() || strings.Contains(err.Error(), "k0")) {
			t.Errorf("%s: something of the content gets out with the error: %v", tc.Name, err)
		}
	}
	for _, tc := range v.MACs {
		data, mac := unhex(t, tc.Data), unhex(t, tc.MAC)
		if ok, err := keyring.CheckMAC(seal.Purpose(tc.Purpose), data, mac); !ok || err != nil {
			t.Errorf("the MAC of %q is refused (%v)", data, err)
		}
	}
	if first := v.MACs[0]; !bytes.Equal(keyring.MAC(seal.Purpose(first.Purpose), unhex(t, first.Data)), unhex(t, first.MAC)) {
		t.Error("the MAC is another one")
	}
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := []string{line(1), line(2), line(3)}
		before := keyringOf(t, lines...)
		after := keyringOf(t, rapid.Permutation(lines).Draw(t, "lines")...)
		purpose := seal.Purpose(rapid.String().Draw(t, "purpose"))
		account := otp.Account(rapid.String().Draw(t, "account"))
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed := before.Seal(purpose, account, secret.NewBytes(plain))
		if again := before.Seal(purpose, account, secret.NewBytes(plain)); bytes.Equal(again, sealed) {
			t.Fatal("the same text is sealed the same way twice")
		}
		if opened, err := after.Open(purpose, account, sealed); err != nil || !bytes.Equal(opened.Reveal(), plain) {
			t.Fatalf("what was sealed opens as something else (%v)", err)
		}
		otherPurpose := seal.Purpose(rapid.String().Draw(t, "other purpose"))
		otherAccount := otp.Account(rapid.String().Draw(t, "other account"))
		if otherPurpose == purpose && otherAccount == account {
			return
		}
		if _, err := after.Open(otherPurpose, otherAccount, sealed); !errors.Is(err, seal.ErrDamaged) {
			t.Fatalf("what was sealed for %q and %q opens for %q and %q (%v)", purpose, account, otherPurpose, otherAccount, err)
		}
	})
}

// The border between purpose and account must not move.
func TestPurposeAndAccountDoNotRunTogether(t *testing.T) {
	t.Parallel()
	keyring := keyringOf(t, line(1))
	sealed := keyring.Seal("vault", "alice", vault("x"))
	for _, other := range []struct {
		purpose seal.Purpose
		account otp.Account
	}{{"vaulta", "lice"}, {"", "vaultalice"}, {"vault5:alice", ""}, {"vault", "alice "}, {"Vault", "alice"}} {
		if _, err := keyring.Open(other.purpose, other.account, sealed); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("it opens for %q and %q", other.purpose, other.account)
		}
	}
}

func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	keyring := keyringOf(t, line(1), line(2))
	good := keyring.Seal(seal.Secrets, "alice", vault(`{"device":{}}`))
	for i := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := keyring.Open(seal.Secrets, "alice", bad); err == nil {
			t.Errorf("with bit %d turned it still opens", i)
		}
	}
	for i := range good {
		if _, err := keyring.Open(seal.Secrets, "alice", good[:i]); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("the first %d bytes: the error is %v", i, err)
		}
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	keyring, next := keyringOf(t, line(1)), keyringOf(t, line(2), line(1))
	mac := keyring.MAC("a", []byte("data"))
	expect := func(what string, keyring *seal.Keyring, purpose seal.Purpose, data, mac []byte, want bool) {
		t.Helper()
		if ok, err := keyring.CheckMAC(purpose, data, mac); ok != want || err != nil {
			t.Errorf("%s: the check says %v (%v)", what, ok, err)
		}
	}
	if !bytes.Equal(mac, keyring.MAC("a", []byte("data"))) {
		t.Error("a MAC is not the same twice")
	}
	expect("the same ring", keyring, "a", []byte("data"), mac, true)
	expect("after a rotation", next, "a", []byte("data"), mac, true)
	expect("other data", keyring, "a", []byte("datb"), mac, false)
	expect("another purpose", keyring, "b", []byte("data"), mac, false)
	expect("nothing", keyring, "a", []byte("data"), nil, false)
	expect("a longer one", keyring, "a", []byte("data"), append(bytes.Clone(mac), 0), false)
	for i := range mac {
		bad := bytes.Clone(mac)
		bad[i] ^= 1
		if ok, _ := keyring.CheckMAC("a", []byte("data"), bad); ok {
			t.Errorf("with byte %d changed it is still accepted", i)
		}
	}
	_, err := keyringOf(t, line(2)).CheckMAC("a", []byte("data"), mac)
	if !errors.Is(err, otp.ErrSealed) || !strings.Contains(err.Error(), string(keyring.Current())) {
		t.Errorf("without the key the error is %v", err)
	}
}
