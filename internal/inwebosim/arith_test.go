package inwebosim

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPasswordText(t *testing.T) {
	for n, want := range map[uint64]string{0: "a", 1: "b", 25: "z", 26: "0", 35: "9", 36: "ab", 36*36 + 35: "9ab"} {
		if got := passwordText(n); got != want {
			t.Errorf("passwordText(%d) = %s, want %s", n, got, want)
		}
	}
}

func slowPassword(n uint64) string {
	digits := []byte(new(big.Int).SetUint64(n).Text(36))
	slices.Reverse(digits)
	for i, d := range digits {
		digits[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyz", d)]
	}
	return string(digits)
}

func TestPasswordTextAgreesWithBase36(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 1<<38-1).Draw(t, "n")
		text := passwordText(n)
		if text != slowPassword(n) {
			t.Fatalf("passwordText(%d) = %s, want %s", n, text, slowPassword(n))
		}
		padded := text + strings.Repeat("a", passwordLength-len(text))
		if unpadded(text) != text || unpadded(padded) != text {
			t.Fatalf("unpadded: %q and %q, want %q", unpadded(text), unpadded(padded), text)
		}
	})
}

func TestUnpaddedTakesNoHalfPadding(t *testing.T) {
	for token, want := range map[string]string{"": "", "a": "a", "aaaaaaaa": "a", "bca": "bca", "bcaaaaaa": "bc", "bcaaaaaaa": "bcaaaaaaa"} {
		if got := unpadded(token); got != want {
			t.Errorf("unpadded(%q) = %q, want %q", token, got, want)
		}
	}
}

// TestSealOpens seals with every key and length and opens as a client does.
func TestSealOpens(t *testing.T) {
	keys, err := newKeyring(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range append([]*rsaKey{keys.seal, keys.kiw}, keys.secrets...) {
		if k.private.N.BitLen() != 1024 || k.private.E != 17 || !k.private.Primes[0].ProbablyPrime(10) || !k.private.Primes[1].ProbablyPrime(10) {
			t.Fatalf("key %d is no 1024-bit key of two primes with exponent 17", i)
		}
		for _, length := range []int{1, 61, 62, 63, 124, 128, 200} {
			plain := bytes.Repeat([]byte{byte(length)}, length)
			rng := seededPCG(1, "seal", "")
			sealed, err := k.seal(plain, bytesOf(&rng))
			if err != nil {
				t.Fatal(err)
			}
			opened, err := refUnseal(k.private.N.Text(16), sealed)
			if err != nil || !bytes.Equal(opened, plain) || len(sealed) != 256*((length+61)/62) {
				t.Errorf("key %d, %d bytes: opened %x, %v", i, length, opened, err)
			}
		}
	}
}

func TestKeyringDependsOnSeed(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(2 + maxSecrets) {
		keys, err := newKeyring(seed)
		if err != nil || len(keys.secrets) != maxSecrets {
			t.Fatal(len(keys.secrets), err)
		}
		seen[keys.seal.private.N.Text(16)] = true
	}
	if len(seen) != 2+maxSecrets {
		t.Errorf("%d different Kfact for %d seeds", len(seen), 2+maxSecrets)
	}
}

func TestDecryptRefuses(t *testing.T) {
	keys, err := newKeyring(3)
	if err != nil {
		t.Fatal(err)
	}
	good := refEncrypt(keys.kiw.modulus(), []byte("1234"))
	for name, text := range map[string]string{
		"empty": "", "upper case": strings.ToUpper(good), "short": good[2:], "long": good + "00",
		"another key's": refEncrypt(keys.seal.modulus(), []byte("1234")), "too large": strings.Repeat("f", 256),
	} {
		if plain, err := keys.kiw.decrypt(text); err == nil {
			t.Errorf("%s: decrypted to %x", name, plain)
		}
	}
	if plain, err := keys.kiw.decrypt(good); err != nil || string(plain) != "1234" {
		t.Errorf("decrypted to %q, %v", plain, err)
	}
}

// TestShuffleKeepsLists says what shuffling may and may not do.
func TestShuffleKeepsLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.Custom(func(t *rapid.T) Field {
			return Field{rapid.SampledFrom([]string{"s_id", "ms_id", "K1", "err"}).Draw(t, "name"), rapid.StringN(0, 3, 9).Draw(t, "value")}
		})
		before := rapid.SliceOfN(field, 0, 20).Draw(t, "fields")
		ans := answer{"ActionSetup", slices.Clone(before)}
		rng := seededPCG(rapid.Uint64().Draw(t, "seed"), "", "")
		ans.shuffle(&rng)
		for _, name := range []string{"s_id", "ms_id", "K1", "err"} {
			if !slices.Equal(valuesOf(before, name), valuesOf(ans.fields, name)) {
				t.Fatalf("%s: %v became %v", name, before, ans.fields)
			}
		}
		if len(ans.fields) != len(before) {
			t.Fatalf("%d elements became %d", len(before), len(ans.fields))
		}
	})
}

func valuesOf(fields []Field, name string) (values []string) {
	for _, f := range fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values
}

func TestEscapeReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab&<>\"'; é€🚗"))).Draw(t, "text")
		r, err := parseReply("ActionSetup", answer{"ActionSetup", []Field{{"x", text}}}.document())
		if err != nil || r.one("x") != text {
			t.Fatalf("%q read back as %q, %v", text, r.one("x"), err)
		}
	})
}
