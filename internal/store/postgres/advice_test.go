package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// What keeps a database from being used is said together with what to do, and without the password.
func TestAdvice(t *testing.T) {
	own := ownServer(t)
	database := own.Database(t)
	open(t, database)
	admit(t, own)
	certificate := useTLS(t, own, "db.example", time.Hour)
	at := func(user, host, more string) string {
		return "postgres://" + user + "@" + host + "/" + base(database) + "?connect_timeout=3&" + more
	}
	other := ownServer(t)
	otherCertificate := useTLS(t, other, "127.0.0.1", -time.Hour)
	empty := own.Database(t)
	for name, c := range map[string]struct{ url, want string }{
		"a wrong password":        {at("locked:canary", own.Host(), "sslmode=disable"), "the user or the password in database_url is wrong"},
		"an unknown user":         {at("stranger:canary", own.Host(), "sslmode=disable"), "does not let this user in"},
		"an unknown database":     {strings.Replace(at("pimsd:canary", own.Host(), "sslmode=disable"), base(database), "none", 1), "CREATE DATABASE"},
		"no rights":               {at("weak:canary", own.Host(), "sslmode=disable"), "GRANT"},
		"no right to make it":     {strings.Replace(at("weak:canary", own.Host(), "sslmode=disable"), base(database), base(empty), 1), "GRANT CREATE ON SCHEMA"},
		"no more connections":     {at("crowded:canary", own.Host(), "sslmode=disable"), "each replica uses 16 at most"},
		"another search path":     {at("pimsd:canary", own.Host(), "sslmode=disable&search_path=elsewhere"), "search_path"},
		"no TLS at the server":    {strings.Replace(server.URL("postgres"), "disable", "require", 1), "the server offers no TLS"},
		"an unknown authority":    {at("pimsd:canary", own.Host(), "sslmode=verify-ca&sslrootcert="+otherCertificate), "sslrootcert=FILE"},
		"a certificate of others": {at("pimsd:canary", own.Host(), "sslmode=verify-full&sslrootcert="+certificate), "for another name"},
		"an old certificate":      {at("pimsd:canary", other.Host(), "sslmode=verify-full&sslrootcert="+otherCertificate), "renew it"},
		"nothing listens":         {at("pimsd:canary", "127.0.0.1:1", ""), "nothing listens"},
		"an unknown host":         {at("pimsd:canary", "db.invalid", ""), "cannot be looked up"},
		"no socket":               {"host=" + t.TempDir() + " user=pimsd password=canary", "unix_socket_directories"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := postgres.OpenOrCreate(t.Context(), postgres.Options{URL: secret.NewText(c.url)})
			if err == nil {
				err = store.Create(t.Context(), write(1))
				_ = store.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v\nwant %q in it", err, c.want)
			}
		})
	}
}

func base(database secret.Text) string {
	name, _, _ := strings.Cut(path.Base(database.Reveal()), "?")
	return name
}

// admit makes users who come less far than the others.
func admit(t *testing.T, own *pgtest.Server) {
	t.Helper()
	own.Exec(t, own.URL("postgres"),
		"CREATE ROLE weak LOGIN", "CREATE ROLE locked LOGIN PASSWORD 'another'", "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
	file := filepath.Join(own.Dir(), "data", "pg_hba.conf")
	rules, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append([]byte("host all locked all scram-sha-256\nhost all stranger all reject\n"), rules...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	own.Exec(t, own.URL("postgres"), "SELECT pg_reload_conf()")
}

// useTLS returns the server a certificate of its own for a name, which is good for so long, and returns its file.
func useTLS(t *testing.T, own *pgtest.Server, name string, good time.Duration) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(good), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, own, "server.key", "PRIVATE KEY", private)
	certificate := writePEM(t, own, "server.crt", "CERTIFICATE", der)
	set(t, own, "ssl = on")
	for began := time.Now(); !usesTLS(t, own); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("the server does not take up its certificate")
		}
	}
	return certificate
}

func usesTLS(t *testing.T, own *pgtest.Server) bool {
	_, err := postgres.Open(t.Context(), postgres.Options{URL: secret.NewText(strings.Replace(own.URL("none"), "disable", "require", 1))})
	return !strings.Contains(err.Error(), "offers no TLS")
}

// writePEM writes a file into the server's data, as its own.
func writePEM(t *testing.T, own *pgtest.Server, name, kind string, der []byte) string {
	t.Helper()
	data := filepath.Join(own.Dir(), "data")
	file := filepath.Join(data, name)
	err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	var folder fs.FileInfo
	if err == nil {
		folder, err = os.Stat(data)
	}
	if err == nil {
		owner := folder.Sys().(*syscall.Stat_t)
		err = os.Chown(file, int(owner.Uid), int(owner.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}
