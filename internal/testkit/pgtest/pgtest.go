// Package pgtest starts a PostgreSQL server for a test, with fsync on, and stops it again. It also has a pooler, standbys and a proxy that
// falls silent.
//
// It is test support: no production package may import it.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit"
)

// Server is a running server. Each test takes a database of its own from it.
type Server struct {
	dir, bin string
	port     string
	account  *syscall.Credential // whom it runs as; nil: whom the tests run as
	process  *exec.Cmd
	ended    chan error
	count    atomic.Int64
}

// Main is a TestMain with a server: it starts one, lets use have it before the tests run, and stops it after them. The server can have twins.
// With SharedVariable it uses the server that runs already.
func Main(m *testing.M, use func(*Server)) (status int) {
	server, err := attach(os.Getenv(SharedVariable))
	if errors.Is(err, errNotShared) {
		if server, err = start(testkit.MemoryDir(), (*Server).copyTemplate); err == nil {
			defer func() {
				if err := server.Remove(); err != nil {
					fmt.Fprintln(os.Stderr, "pgtest:", err)
					status = 1
				}
			}()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	use(server)
	return m.Run()
}

// Start makes a cluster in a temporary folder, in memory where there is room, and starts its server on a free port of 127.0.0.1.
func Start() (*Server, error) { return StartIn(testkit.MemoryDir()) }

// StartIn is Start with the temporary folder in that folder, for a server that must write to its disk.
func StartIn(folder string) (*Server, error) {
	return start(folder, (*Server).initialize)
}

// start makes a server of the data that fill makes.
func start(folder string, fill func(*Server) error) (_ *Server, err error) {
	s := &Server{}
	if s.bin, err = findBinaries(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp(folder, "pimsd-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(s.dir)
		}
	}()
	if err := s.giveUpRoot(); err != nil {
		return nil, err
	}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := fill(s); err != nil {
		return nil, err
	}
	return s, s.StartAgain()
}

// initialize makes an empty cluster.
func (s *Server) initialize() error {
	return run(s.command("initdb", "--pgdata", s.data(), "--username", "pimsd", "--auth", "trust", "--no-sync",
		"--encoding", "UTF8", "--locale", "C"))
}

// run runs the command; its error has what it printed.
func run(command *exec.Cmd) error {
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(command.Path), err, out)
	}
	return nil
}

// findBinaries looks where PostgreSQL's server programs are: in PATH, or where Debian puts them, the newest first.
func findBinaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil { // a link to one of the programs that lie together
			return "", err
		}
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the only error is a bad pattern
	if len(found) == 0 {
		return "", errors.New("PostgreSQL's server programs are not installed: run `make test`, which sees to it, or install PostgreSQL")
	}
	return filepath.Dir(slices.Max(found)), nil
}

// giveUpRoot chooses another user for the server when the tests run as root, as which it refuses to run.
func (s *Server) giveUpRoot() error {
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, errUID := strconv.Atoi(nobody.Uid)
	gid, errGID := strconv.Atoi(nobody.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return err
	}
	s.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Dir is the folder of all that the server writes: its log, and in "data" what it keeps.
func (s *Server) Dir() string { return s.dir }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}

// StartAgain starts the server on the same data and port.
func (s *Server) StartAgain() error {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own
	s.process = s.command("postgres", "-D", s.data(), "-p", s.port, "-k", s.dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200")
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.process.Wait() }()
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case err := <-s.ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the server ended at its start: %w: %s", err, text)
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Promote makes a standby the primary, and returns when it takes writes.
func (s *Server) Promote(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	var promoted bool
	if err = conn.QueryRow(ctx, "SELECT pg_promote(true, 60)").Scan(&promoted); err == nil && !promoted {
		err = errors.New("the standby is not promoted within a minute")
	}
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// FollowAgain makes a primary that was stopped or killed a standby of another one, on the same port, and starts it: with a fresh copy
// of the data, since its own may have gone on further than that of the other one.
func (s *Server) FollowAgain(primary *Server) error {
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if err := run(s.copyOf(primary)); err != nil {
		return err
	}
	return s.StartAgain()
}

// copyOf returns the command that makes the data of a standby.
func (s *Server) copyOf(primary *Server) *exec.Cmd {
	address := "host=127.0.0.1 user=pimsd application_name=standby port=" + primary.port
	return s.command("pg_basebackup", "--pgdata", s.data(), "--dbname", address, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
}

// Stop stops the server at once, as `pg_ctl stop --mode fast` does, and waits until it is gone.
func (s *Server) Stop() error { return s.signal(syscall.SIGINT) }

// Kill ends the server without its leave, as a crash would.
func (s *Server) Kill() error { return s.signal(syscall.SIGQUIT) }

func (s *Server) signal(signal os.Signal) error {
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	err := <-s.ended
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		return nil // its own status for being told to end
	}
	return err
}

// Remove stops the server and removes its data.
func (s *Server) Remove() error {
	err := s.Stop()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Command is a program of PostgreSQL's, such as pg_dump.
func (s *Server) Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), filepath.Join(s.bin, name), args...)
}

// Host is the server's host:port.
func (s *Server) Host() string { return "127.0.0.1:" + s.port }

// URL is that of a database of the server, for its superuser.
func (s *Server) URL(database string) string {
	return "postgres://pimsd@" + s.Host() + "/" + database + "?sslmode=disable"
}

// Database makes an empty database, which lives as long as the server, and returns its URL.
func (s *Server) Database(t testing.TB) secret.Text {
	t.Helper()
	name := "t" + strconv.FormatInt(s.count.Add(1), 10)
	s.Exec(t, s.URL("postgres"), "CREATE DATABASE "+name)
	return secret.NewText(s.URL(name))
}

// Exec runs statements in the database of the URL, as an operator would with psql.
func (s *Server) Exec(t testing.TB, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), strings.Join(statements, "; ")); err != nil {
		t.Fatal(err)
	}
}
