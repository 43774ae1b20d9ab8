package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/secret"
)

// Pooler is a PgBouncer in front of a server.
type Pooler struct {
	// URL is that of the database through the pooler.
	URL secret.Text

	file    string // its configuration
	process *exec.Cmd
}

// ReloadAs lets the pooler, which was started with the pool_mode from, go on with the pool_mode to.
func (p *Pooler) ReloadAs(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(p.file)
	if err == nil {
		err = os.WriteFile(p.file, []byte(strings.Replace(string(text), "pool_mode = "+from, "pool_mode = "+to, 1)), 0o644)
	}
	if err == nil {
		err = p.process.Process.Signal(syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// StartPooler starts PgBouncer in front of a database of the server, with that pool_mode and more settings. It ends with the test.
func (s *Server) StartPooler(t testing.TB, database secret.Text, mode string, settings ...string) *Pooler {
	t.Helper()
	program, err := findPgBouncer()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	target, err := pgx.ParseConfig(database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp(s.dir, "pgbouncer-") //nolint:usetesting // the user of the server cannot enter the test's folders
	if err == nil && s.account != nil {
		err = os.Chown(folder, int(s.account.Uid), int(s.account.Gid))
	}
	text := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%s user=pimsd\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\n"+
		"unix_socket_dir =\nauth_type = any\npool_mode = %s\n%s\n", s.port, port, mode, strings.Join(settings, "\n"))
	file := filepath.Join(folder, "pgbouncer.ini")
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(program, "--quiet", file)
	process.SysProcAttr = &syscall.SysProcAttr{Credential: s.account, Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait() // its status for being killed
	})
	if err := poll(t.Context(), func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		t.Fatal("nothing listens at the port of the pooler: ", err)
	}
	through := secret.NewText(fmt.Sprintf("postgres://pimsd@127.0.0.1:%s/%s?sslmode=disable", port, target.Database))
	return &Pooler{URL: through, file: file, process: process}
}

// findPgBouncer looks for PgBouncer in PATH, and where Debian puts it.
func findPgBouncer() (string, error) {
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		return "", errors.New("PgBouncer is not installed: run `make test`, which sees to it, or install it")
	}
	return path, nil
}
