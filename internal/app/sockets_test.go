package app

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/secret"
)

// A check beside its service takes the addresses of that service for good, and no other address that is in use.
func TestCheckAddressesBesideService(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.DataDir, c.Listen, c.Ops.Listen = t.TempDir(), reserved(t), reserved(t)
	bound, err := bindSockets(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	alive := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	service := &http.Server{Handler: (&App{config: c, sockets: bound}).named(alive), ReadHeaderTimeout: time.Minute}
	go func() { _ = service.Serve(bound.ops) }()
	t.Cleanup(func() { _ = errors.Join(service.Close(), bound.close()) })
	if err := checkAddresses(t.Context(), c); err != nil {
		t.Errorf("with the addresses of the service: %v", err)
	}
	other := listening(t)
	defer other.Close()
	changed := *c
	changed.Listen = other.Addr().String()
	err = checkAddresses(t.Context(), &changed)
	if refused, is := errors.AsType[addressInUseError](err); !is || refused.address != changed.Listen {
		t.Errorf("with the address of another program: %v", err)
	}
}

// On PostgreSQL, a service of another database is another service; the user and the password of the URL do not matter.
func TestAnswerIsOfOneDatabase(t *testing.T) {
	t.Parallel()
	with := func(url string) *config.Config {
		c := config.Default()
		c.DataDir, c.DatabaseURL = "/data", secret.NewText(url)
		return c
	}
	const url = "postgres://pimsd:one@db:5432/pimsd"
	for other, want := range map[string]bool{
		url: true, "postgres://else:two@db/pimsd?sslmode=require": true, "host=db dbname=pimsd user=a": true,
		"postgres://pimsd:one@db:5433/pimsd": false, "postgres://pimsd:one@db2/pimsd": false, "postgres://pimsd:one@db/other": false, "": false,
	} {
		c := with(url)
		answer := OperatorsAnswer{DataDir: ShownDataDir(c), Database: databaseName(c)}
		if got := answer.IsOf(with(other)); got != want {
			t.Errorf("%q: %v", other, got)
		}
		if answer = (OperatorsAnswer{DataDir: ShownDataDir(c), Database: databaseName(with(other))}); answer.IsOf(c) != want {
			t.Errorf("a service of %q: %v", other, !want)
		}
	}
}
