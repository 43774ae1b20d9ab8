package input_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

// authority signs a certificate, as one would for a server; it returns its own, the server's and the server's key, in PEM.
func authority(t *testing.T) (root, leaf, key []byte) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	rootKey, leafKey := newKey(), newKey()
	template := func(n int64, isCA bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
		}
	}
	sign := func(of *x509.Certificate, key *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, of, template(1, true), &key.PublicKey, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return block("CERTIFICATE", der)
	}
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return sign(template(1, true), rootKey), sign(template(2, false), leafKey), block("PRIVATE KEY", private)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func der(text []byte) []byte {
	decoded, _ := pem.Decode(text)
	return decoded.Bytes
}

func TestLoadKeyPair(t *testing.T) {
	t.Parallel()
	root, leaf, key := authority(t)
	_, _, otherKey := authority(t)
	noise := make([]byte, 128)
	_, _ = rand.Read(noise) // does not fail
	encrypted := block("ENCRYPTED PRIVATE KEY", noise)
	older := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: noise, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
	})
	pkcs12 := append([]byte{0x30, 0x82, 0x05, 0x00, 0x02, 0x01, 0x03, 0x30, 0x82}, noise...)
	longPKCS12 := append([]byte{0x30, 0x80, 0x02, 0x01, 0x03, 0x30, 0x80}, noise...) // of indefinite length
	mark := []byte("\ufeff")
	for name, tc := range map[string]struct {
		certificate, key []byte
		want             string // in the error; empty: it is loaded
	}{
		"a certificate and its key":    {leaf, key, ""},
		"with its authority":           {append(bytes.Clone(leaf), root...), key, ""},
		"both in one file":             {append(bytes.Clone(key), leaf...), append(bytes.Clone(leaf), key...), ""},
		"with byte order marks":        {append(bytes.Clone(mark), leaf...), append(bytes.Clone(mark), key...), ""},
		"the authority first":          {append(bytes.Clone(root), leaf...), key, "is number 2 in CERT: it must come first"},
		"the authority alone":          {root, key, "the private key in KEY belongs to none of the certificates in CERT"},
		"another key":                  {leaf, otherKey, "the private key in KEY belongs to none of the certificates in CERT"},
		"an encrypted key":             {leaf, encrypted, "the private key in KEY is encrypted"},
		"a key encrypted by OpenSSL":   {leaf, older, "the private key in KEY is encrypted"},
		"exchanged":                    {key, leaf, "CERT holds a private key and no certificate"},
		"a certificate in DER":         {der(leaf), key, "CERT is in binary form"},
		"a certificate in PKCS #12":    {pkcs12, key, "CERT is a PKCS#12 file (.p12, .pfx): convert it with: openssl pkcs12"},
		"a key in PKCS #12":            {leaf, pkcs12, "KEY is a PKCS#12 file (.p12, .pfx): convert it with: openssl pkcs12"},
		"both in PKCS #12":             {longPKCS12, longPKCS12, "CERT is a PKCS#12 file"},
		"a key in DER":                 {leaf, der(key), "KEY is in binary form"},
		"no certificate":               {nil, key, "CERT holds no certificate in PEM"},
		"no key":                       {leaf, leaf, "KEY holds no private key in PEM"},
		"a key that is broken":         {leaf, block("PRIVATE KEY", der(key)[:20]), "CERT and KEY: "},
		"a certificate that is broken": {block("CERTIFICATE", der(leaf)[:20]), key, "CERT and KEY: "},
	} {
		folder := t.TempDir()
		certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
		for path, content := range map[string][]byte{certFile: tc.certificate, keyFile: tc.key} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pair, err := input.LoadKeyPair(certFile, keyFile)
		if tc.want == "" {
			if err != nil || pair.Leaf == nil || pair.Leaf.SerialNumber.Int64() != 2 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		want := strings.NewReplacer("CERT", certFile, "KEY", keyFile).Replace(tc.want)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want one that says %q", name, err, want)
		}
	}
}

// A file of authorities in another form says how to convert it.
func TestLoadAuthorities(t *testing.T) {
	t.Parallel()
	root, _, key := authority(t)
	pkcs12 := []byte{0x30, 0x82, 0x05, 0x00, 0x02, 0x01, 0x03, 0x30, 0x82, 0x01, 0x00}
	for name, tc := range map[string]struct {
		content []byte
		want    string // in the error; empty: they are loaded
	}{
		"PEM":           {root, ""},
		"two":           {append(bytes.Clone(root), root...), ""},
		"a BOM":         {append([]byte("\ufeff"), root...), ""},
		"PKCS #12":      {pkcs12, "FILE is a PKCS#12 file (.p12, .pfx): convert it with: openssl pkcs12"},
		"DER":           {der(root), "FILE is in binary form (DER): convert it with: openssl x509 -inform der"},
		"a private key": {key, "FILE holds a private key and no certificate"},
		"nothing":       {nil, "FILE holds no certificate in PEM"},
	} {
		file := filepath.Join(t.TempDir(), "authorities.pem")
		if err := os.WriteFile(file, tc.content, 0o600); err != nil {
			t.Fatal(err)
		}
		pool, err := input.LoadAuthorities(file)
		want := strings.ReplaceAll(tc.want, "FILE is", file+" is")
		want = strings.ReplaceAll(want, "FILE holds", file+" holds")
		if tc.want == "" && (err != nil || pool == nil) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: the error is %v, want %q", name, err, want)
		}
	}
}

func TestKeyThatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	_, leaf, key := authority(t)
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, content := range map[string][]byte{certFile: leaf, keyFile: key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(certFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := input.LoadKeyPair(certFile, keyFile); err != nil {
		t.Errorf("a certificate is no secret: %v", err)
	}
	if err := os.Chmod(keyFile, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := input.LoadKeyPair(certFile, keyFile); err == nil || !strings.Contains(err.Error(), "make it 0600") {
		t.Errorf("%v", err)
	}
}
