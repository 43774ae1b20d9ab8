package pimsdtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// Over TLS the API is what it is without: for callers who speak 1.2 or later, and who trust its certificate.
func TestTheAPIOverTLS(t *testing.T) {
	t.Parallel()
	certificate, key, roots := testCertificate(t)
	a := enrolled(t, func(s *pimsdtest.Setup) { s.Config.TLS.CertFile, s.Config.TLS.KeyFile = certificate, key })
	address := "https" + strings.TrimPrefix(a.Daemon.URL("/v1/authentication/otp"), "http")
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{MinVersion: version, MaxVersion: version, RootCAs: roots, ServerName: "example.com"},
			DisableKeepAlives: true, ForceAttemptHTTP2: true,
		}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(pimsdtest.WithPIN(aPIN)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.Key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if (err == nil) != (version >= tls.VersionTLS12) {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 1 {
			t.Errorf("%s: %s %d %s", tls.VersionName(version), resp.Proto, resp.StatusCode, body)
		}
	}
	const expiry = "pimsd_tls_certificate_expiry_timestamp_seconds"
	if at := int64(a.Daemon.Metrics()[expiry]); at != leafOf(t, certificate).NotAfter.Unix() {
		t.Errorf("%s is %d", expiry, at)
	}
}

// testCertificate writes the one that httptest has, for example.com, and returns what trusts it.
func testCertificate(t *testing.T) (certificate, key string, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	pair := server.TLS.Certificates[0]
	certificate, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certificate, "CERTIFICATE", pair.Certificate[0])
	writePEM(t, key, "PRIVATE KEY", private)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return certificate, key, roots
}

func leafOf(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	return parsePEM(t, []byte(fileText(t, file)))
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func parsePEM(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}
