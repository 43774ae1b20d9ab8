package inwebosim

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
)

// What follows is the protocol's arithmetic (sections 2, 5 and 6) once more, for the tests' own client.

func refHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, ";")))
	return hex.EncodeToString(sum[:])
}

func refAES(with []byte, text string, encrypt bool) string {
	in, _ := hex.DecodeString(text)
	block, err := aes.NewCipher(with)
	if err != nil || len(in) != 16 {
		panic("no AES block: " + text)
	}
	out := make([]byte, 16)
	if encrypt {
		block.Encrypt(out, in)
	} else {
		block.Decrypt(out, in)
	}
	return hex.EncodeToString(out)
}

func refPassword(k1, defi, secval string) string {
	h := sha256.Sum256([]byte(strings.Join([]string{k1, defi, secval}, ":")))
	n := new(big.Int).SetUint64(uint64(binary.BigEndian.Uint32(h[:4])) & 0x0fffffff)
	n.Mul(n, big.NewInt(1024)).Add(n, big.NewInt(int64(binary.BigEndian.Uint32(h[4:8])&1023)))
	var text []byte
	for _, digit := range []byte(n.Text(36)) { // 0–9a–z, most significant first
		if digit >= 'a' && digit < 'a'+26 {
			digit = "klmnopqrstuvwxyz0123456789"[digit-'a']
		} else {
			digit = 'a' + digit - '0'
		}
		text = append([]byte{digit}, text...)
	}
	return string(text)
}

func refEncrypt(modulus, plain []byte) string {
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 17}
	out, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, plain, nil)
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(out)
}

// refUnseal opens what the service sealed: the public operation, then OAEP decoding, block by block.
func refUnseal(modulusHex, sealedHex string) ([]byte, error) {
	n, ok := new(big.Int).SetString(modulusHex, 16)
	sealed, err := hex.DecodeString(sealedHex)
	if !ok || err != nil || len(sealed)%128 != 0 || len(sealed) == 0 {
		return nil, errors.New("not sealed blocks")
	}
	var plain []byte
	for ; len(sealed) > 0; sealed = sealed[128:] {
		c := new(big.Int).SetBytes(sealed[:128])
		part, err := refOAEP(c.Exp(c, big.NewInt(17), n).FillBytes(make([]byte, 128)))
		if err != nil {
			return nil, err
		}
		plain = append(plain, part...)
	}
	return plain, nil
}

func refOAEP(em []byte) ([]byte, error) {
	seed := refXOR(em[1:33], refMGF1(em[33:], 32))
	db := refXOR(em[33:], refMGF1(seed, 95))
	label := sha256.Sum256(nil)
	rest := bytes.TrimLeft(db[32:], "\x00")
	if em[0] != 0 || !bytes.Equal(db[:32], label[:]) || len(rest) == 0 || rest[0] != 1 {
		return nil, errors.New("wrong OAEP padding")
	}
	return rest[1:], nil
}

func refMGF1(seed []byte, length int) (mask []byte) {
	for i := uint32(0); len(mask) < length; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(bytes.Clone(seed), i))
		mask = append(mask, sum[:]...)
	}
	return mask[:length]
}

func refXOR(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}
