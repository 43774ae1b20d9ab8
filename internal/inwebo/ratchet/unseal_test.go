package ratchet_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// server holds the private half of a 1024-bit key with exponent 17.
type server struct {
	n, d *big.Int
	key  ratchet.PublicKey
}

func newServer(t testing.TB) server {
	t.Helper()
	e, one := big.NewInt(17), big.NewInt(1)
	for {
		p, err := rand.Prime(rand.Reader, 512)
		if err != nil {
			t.Fatal(err)
		}
		q, err := rand.Prime(rand.Reader, 512)
		if err != nil {
			t.Fatal(err)
		}
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if n.BitLen() != 1024 || d == nil {
			continue
		}
		key, err := ratchet.ParsePublicKey(hex.EncodeToString(n.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		return server{n, d, key}
	}
}

// private is the server's private operation on an encoded block.
func (s server) private(encoded []byte) []byte {
	return new(big.Int).Exp(new(big.Int).SetBytes(encoded), s.d, s.n).FillBytes(make([]byte, 128))
}

func (s server) seal(plaintext []byte) (sealed []byte) {
	for len(plaintext) > 0 {
		n := min(62, len(plaintext))
		sealed = append(sealed, s.private(encode(plaintext[:n], nil))...)
		plaintext = plaintext[n:]
	}
	return sealed
}

// encode is OAEP encoding; spoil may change the data block (label hash, padding, message) before it is masked.
func encode(message []byte, spoil func(dataBlock []byte)) []byte {
	block := make([]byte, 128)
	seed, data := block[1:33], block[33:]
	label := sha256.Sum256(nil)
	copy(data, label[:])
	copy(data[len(data)-len(message):], message)
	data[len(data)-len(message)-1] = 1
	if spoil != nil {
		spoil(data)
	}
	if _, err := rand.Read(seed); err != nil {
		panic(err)
	}
	mask(data, seed)
	mask(seed, data)
	return block
}

func mask(data, seed []byte) {
	var stream []byte
	for counter := uint32(0); len(stream) < len(data); counter++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(bytes.Clone(seed), counter))
		stream = append(stream, sum[:]...)
	}
	for i := range data {
		data[i] ^= stream[i]
	}
}

func TestUnsealOpensWhatTheServerSealed(t *testing.T) {
	s := newServer(t)
	for _, length := range []int{1, 61, 62, 63, 124, 128, 200} {
		plaintext := make([]byte, length)
		if _, err := rand.Read(plaintext); err != nil {
			t.Fatal(err)
		}
		got, err := s.key.Unseal(s.seal(plaintext))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes: %x, %v", length, got, err)
		}
	}
}

func TestUnsealRefuses(t *testing.T) {
	s := newServer(t)
	good := s.seal(bytes.Repeat([]byte{7}, 70))
	firstByte := encode([]byte("m"), nil)
	firstByte[0] = 1
	tests := map[string]struct {
		sealed []byte
		want   error
	}{
		"nothing":             {nil, ratchet.ErrSealedLength},
		"a byte short":        {good[:len(good)-1], ratchet.ErrSealedLength},
		"a byte long":         {append(bytes.Clone(good), 0), ratchet.ErrSealedLength},
		"the modulus":         {s.n.FillBytes(make([]byte, 128)), ratchet.ErrSealedRange},
		"all ones":            {bytes.Repeat([]byte{0xff}, 128), ratchet.ErrSealedRange},
		"a wrong first byte":  {s.private(firstByte), ratchet.ErrSealedFirst},
		"a wrong label hash":  {s.private(encode([]byte("m"), func(data []byte) { data[31] ^= 1 })), ratchet.ErrSealedLabel},
		"a wrong padding":     {s.private(encode([]byte("m"), func(data []byte) { data[40] = 2 })), ratchet.ErrSealedPad},
		"no end of padding":   {s.private(encode([]byte("m"), func(data []byte) { clear(data[32:]) })), ratchet.ErrSealedPad},
		"a bad second block":  {append(bytes.Clone(good[:128]), bytes.Repeat([]byte{0xff}, 128)...), ratchet.ErrSealedRange},
		"one, its own cipher": {append(make([]byte, 127), 1), ratchet.ErrSealedLabel},
	}
	for name, test := range tests {
		if got, err := s.key.Unseal(test.sealed); !errors.Is(err, test.want) {
			t.Errorf("%s: %x, %v; want %v", name, got, err, test.want)
		}
	}
}

func TestPublicKeyRefusesWrongSizes(t *testing.T) {
	s := newServer(t)
	for name, modulus := range map[string]string{
		"empty": "", "1016 bits": hex.EncodeToString(s.n.Bytes()[:127]), "1032 bits": hex.EncodeToString(append(s.n.Bytes(), 1)),
		"leading zeros": hex.EncodeToString(append(make([]byte, 1), s.n.Bytes()[:127]...)),
	} {
		if _, err := ratchet.ParsePublicKey(modulus); !errors.Is(err, ratchet.ErrModulusSize) {
			t.Errorf("%s: %v; want ErrModulusSize", name, err)
		}
	}
	if _, err := ratchet.ParsePublicKey("xyz"); err == nil {
		t.Error("a modulus that is not hex is taken")
	}
	if _, err := s.key.UnsealKey(hex.EncodeToString(s.seal(bytes.Repeat([]byte{0}, 128)))); !errors.Is(err, ratchet.ErrModulusSize) {
		t.Errorf("a sealed key of zeros: %v; want ErrModulusSize", err)
	}
	for _, sealed := range []string{"zz", hex.EncodeToString(s.seal(make([]byte, 62))), hex.EncodeToString(s.seal(make([]byte, 200)))} {
		if _, err := s.key.UnsealKey(sealed); err == nil {
			t.Errorf("a sealed key of %d digits is taken", len(sealed))
		}
	}
}

func TestEncryptIsOpenedByTheServer(t *testing.T) {
	s := newServer(t)
	sealed, err := s.key.Encrypt(rand.Reader, secret.NewBytes([]byte("1234")))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, _ := hex.DecodeString(sealed)
	private := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: s.n, E: 17}, D: s.d}
	got, err := rsa.DecryptOAEP(sha256.New(), nil, private, ciphertext, nil)
	if err != nil || string(got) != "1234" {
		t.Errorf("opened %q, %v", got, err)
	}
	if _, err := s.key.Encrypt(rand.Reader, secret.NewBytes(make([]byte, 63))); err == nil {
		t.Error("63 bytes went into a block of 62")
	}
}

// FuzzUnseal: refuse, or give at most 62 bytes for each block; never panic.
func FuzzUnseal(f *testing.F) {
	s := newServer(f)
	f.Add(s.seal([]byte("hello")))
	f.Add(make([]byte, 256))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plaintext, err := s.key.Unseal(sealed)
		if err == nil && len(plaintext) > len(sealed)/128*62 {
			t.Errorf("%d bytes came out of %d", len(plaintext), len(sealed))
		}
		if err != nil && plaintext != nil {
			t.Errorf("refused with %v, and gave %x", err, plaintext)
		}
	})
}
