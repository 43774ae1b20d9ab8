package inwebo_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// authority signs certificates for servers on loopback and for clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// leaf is what a certificate says.
type leaf struct {
	names []string
	ips   []net.IP
	until time.Time
	usage x509.ExtKeyUsage
}

func loopback() leaf {
	return leaf{ips: []net.IP{net.IPv4(127, 0, 0, 1)}, until: time.Now().Add(time.Hour), usage: x509.ExtKeyUsageServerAuth}
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: canary + " authority"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(2 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(sign(t, template, authority{template, key}, key))
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

func sign(t testing.TB, template *x509.Certificate, by authority, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// pool trusts the authority, and no other.
func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a authority) issue(t testing.TB, says leaf) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: canary}, DNSNames: says.names, IPAddresses: says.ips,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: says.until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{says.usage},
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, template, a, key)}, PrivateKey: key}
}
