package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePair writes a certificate that is good between two times, and its key.
func writePair(t *testing.T, from, until time.Time) (certificate, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private)
}

func TestTheEndOfACertificateIsToldInTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	certificate, key := writePair(t, now.Add(-time.Hour), now.Add(30*24*time.Hour))
	_, other := writePair(t, now, now)
	for name, tc := range map[string]struct {
		key  string
		at   time.Time
		want Outcome
	}{
		"good":              {key, now, OutcomeOK},
		"over soon":         {key, now.Add(17 * 24 * time.Hour), OutcomeNote},
		"over":              {key, now.Add(31 * 24 * time.Hour), OutcomeFailed},
		"not yet":           {key, now.Add(-2 * time.Hour), OutcomeFailed},
		"of another key":    {other, now, OutcomeFailed},
		"key is not there":  {"none", now, OutcomeFailed},
		"key is no key":     {certificate, now, OutcomeFailed},
		"good at the start": {key, now.Add(-time.Hour), OutcomeOK},
	} {
		if got := inspectPair("certificate", "the settings", certificate, tc.key, tc.at); got.Outcome != tc.want {
			t.Errorf("%s: %+v, want %s", name, got, tc.want)
		}
	}
}
