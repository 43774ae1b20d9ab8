package app

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// A service starts where the check finds nothing, and for each precondition that is broken the check fails and the service refuses.
func TestServiceRefusesWhatTheCheckFails(t *testing.T) {
	breakers := breakers()
	for _, p := range preconditions() {
		if len(breakers[p.What]) == 0 {
			t.Errorf("nothing breaks the precondition %q", p.What)
		}
		for name, breakIt := range breakers[p.What] {
			t.Run(p.What+"/"+name, func(t *testing.T) {
				c := goodConfig(t)
				expectStart(t, c, "")
				c = goodConfig(t)
				breakIt(t, c)
				expectStart(t, c, p.What)
			})
		}
	}
}

// expectStart expects that both the check and the service find the precondition broken; empty: neither finds anything.
func expectStart(t *testing.T, c *config.Config, broken string) {
	t.Helper()
	store, _ := inspectStore(t.Context(), c)
	found := append(inspectPreconditions(t.Context(), c, store), store...)
	failed := slices.ContainsFunc(found, func(f Finding) bool { return f.What == broken && f.Outcome == OutcomeFailed })
	if failed != (broken != "") || Passed(found) != (broken == "") {
		t.Errorf("the check finds %+v", found)
	}
	service, err := New(t.Context(), c, io.Discard)
	if (err != nil) != (broken != "") {
		t.Errorf("the service says %v", err)
	}
	if err == nil {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := service.Run(ended); err != nil {
			t.Error(err)
		}
	}
}

func goodConfig(t *testing.T) *config.Config {
	t.Helper()
	c := config.Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	c.Listen, c.Ops.Listen = "127.0.0.1:0", "127.0.0.1:0"
	return c
}

type breaker func(*testing.T, *config.Config)

// breakers returns, for each precondition, what breaks it.
func breakers() map[string]map[string]breaker {
	return map[string]map[string]breaker{
		"open files":            {"too few": allowFewFiles},
		preconditionInwebo:      {"no CA file": func(_ *testing.T, c *config.Config) { c.Inwebo.CAFile = "none" }},
		"transcript":            transcriptBreakers(),
		preconditionCertificate: {"no file": func(_ *testing.T, c *config.Config) { c.TLS.CertFile, c.TLS.KeyFile = "none", "none" }},
		preconditionIssuers:     {"nothing given": func(_ *testing.T, c *config.Config) { c.JWT.Issuers = []authn.Issuer{{}} }},
		"addresses":             addressBreakers(),
		theStore:                storeBreakers(),
		theKeys:                 keyBreakers(),
	}
}

func allowFewFiles(t *testing.T, _ *config.Config) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = 100
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) })
}

func transcriptBreakers() map[string]breaker {
	return map[string]breaker{
		"a folder":  func(t *testing.T, c *config.Config) { t.Helper(); c.Inwebo.TranscriptFile = t.TempDir() },
		"no folder": func(_ *testing.T, c *config.Config) { c.Inwebo.TranscriptFile = "no/such/folder/file" },
	}
}

func addressBreakers() map[string]breaker {
	return map[string]breaker{
		"of another machine": func(_ *testing.T, c *config.Config) { c.Listen = "192.0.2.1:0" },
		"no address":         func(_ *testing.T, c *config.Config) { c.Ops.Listen = "nosuchhost.invalid:0" },
		"in use": func(t *testing.T, c *config.Config) {
			t.Helper()
			other, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.Close() })
			c.Ops.Listen = other.Addr().String()
		},
		"twice the same": func(t *testing.T, c *config.Config) {
			t.Helper()
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			c.Listen, c.Ops.Listen = free.Addr().String(), free.Addr().String()
			_ = free.Close()
		},
	}
}

func storeBreakers() map[string]breaker {
	return map[string]breaker{
		"foreign files": func(t *testing.T, c *config.Config) { t.Helper(); writeIn(t, c.DataDir, "holiday.jpg", "") },
		"no parent":     func(_ *testing.T, c *config.Config) { c.DataDir = filepath.Join(c.DataDir, "no", "such") },
		"a file": func(t *testing.T, c *config.Config) {
			t.Helper()
			if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a link to nothing": func(t *testing.T, c *config.Config) {
			t.Helper()
			if err := os.Symlink("nothing", c.DataDir); err != nil {
				t.Fatal(err)
			}
		},
		"no database": func(t *testing.T, c *config.Config) {
			t.Helper()
			writeIn(t, c.DataDir, sqlite.FileName, strings.Repeat("no", 5000))
		},
		"no server": func(_ *testing.T, c *config.Config) {
			c.DatabaseURL = secret.NewText("postgres://pimsd@127.0.0.1:1/pimsd?sslmode=disable")
			c.Seal.Keys = secret.NewText("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		},
	}
}

func keyBreakers() map[string]breaker {
	return map[string]breaker{
		"no key":            func(_ *testing.T, c *config.Config) { c.Seal.Keys = secret.NewText("no key") },
		"a file of no keys": func(t *testing.T, c *config.Config) { t.Helper(); writeIn(t, c.DataDir, "seal.keys", "no key\n") },
	}
}

func writeIn(t *testing.T, dir, name, text string) {
	t.Helper()
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
