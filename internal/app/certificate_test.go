package app

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// writeCertificate makes a certificate that expires then, and writes it and its key.
func writeCertificate(t *testing.T, files config.TLS, expires time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: expires}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, files.CertFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, files.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tlsFiles(t *testing.T) config.TLS {
	t.Helper()
	dir := t.TempDir()
	return config.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
}

// A certificate follows its files, by itself and on request; what cannot be used changes nothing and is logged once.
func TestTheCertificateFollowsItsFiles(t *testing.T) {
	files := tlsFiles(t)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger, err := telemetry.NewLog(&log, "info", telemetry.FormatJSON)
		if err != nil {
			t.Fatal(err)
		}
		first, second, third := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), time.Now().Add(3*time.Hour)
		writeCertificate(t, files, first)
		c, err := openCertificate(files, logger.Logger)
		if err != nil {
			t.Fatal(err)
		}
		wantExpiry := func(want time.Time) {
			t.Helper()
			synctest.Wait()
			if got := c.expiry(); !got.Equal(want.Truncate(time.Second)) {
				t.Errorf("the certificate expires at %v, want %v", got, want)
			}
		}
		ctx, end := context.WithCancel(t.Context())
		go c.run(ctx)
		wantExpiry(first)

		writeCertificate(t, files, second)
		wantExpiry(first)
		time.Sleep(certificateInterval)
		wantExpiry(second)

		writeCertificate(t, files, third)
		c.reloadNow()
		wantExpiry(third)

		write(t, files.CertFile, "no certificate")
		time.Sleep(5 * certificateInterval)
		wantExpiry(third)
		if n := strings.Count(log.String(), "cannot be used"); n != 1 {
			t.Errorf("the trouble was told %d times:\n%s", n, &log)
		}
		writeCertificate(t, files, first)
		time.Sleep(certificateInterval)
		wantExpiry(first)
		end()
		synctest.Wait()
	})
}

func TestACertificateThatCannotBeUsedAtTheStart(t *testing.T) {
	files, other := tlsFiles(t), tlsFiles(t)
	writeCertificate(t, files, time.Now().Add(time.Hour))
	writeCertificate(t, other, time.Now().Add(time.Hour))
	for name, broken := range map[string]config.TLS{
		"missing":          {CertFile: files.CertFile + "x", KeyFile: files.KeyFile},
		"without its key":  {CertFile: files.CertFile, KeyFile: files.KeyFile + "x"},
		"with another key": {CertFile: files.CertFile, KeyFile: other.KeyFile},
		"no certificate":   {CertFile: files.KeyFile, KeyFile: files.KeyFile},
	} {
		_, err := openCertificate(broken, nil)
		if faults, ok := errors.AsType[config.Faults](err); !ok || !strings.HasPrefix(faults[0].Problem, "cannot be used: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
