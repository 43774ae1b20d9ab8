package pgtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// SharedVariable is the environment variable with the directory of a server of StartShared, which Main uses instead of starting its own.
// One process may use it at a time. Main removes what the processes before it have left there: databases and roles.
const SharedVariable = "PIMSD_TEST_SERVER"

var errNotShared = errors.New("there is no shared server")

// StartShared starts a server for SharedVariable, with its temporary folder in that folder. The template that TemplateVariable names for the
// processes is a copy of its empty cluster, too.
func StartShared(folder, template string) (*Server, error) {
	return start(folder, func(s *Server) error { return s.copyOrMake(template) })
}

// copyTemplate makes the cluster of the server a copy of its template.
func (s *Server) copyTemplate() error { return s.copyOrMake(s.template()) }

// copyOrMake makes the cluster of the server a copy of the template. If there is none, the template becomes a copy of a new cluster.
func (s *Server) copyOrMake(template string) error {
	if _, err := os.Stat(template); err == nil {
		return run(exec.Command("cp", "-a", template, s.data()))
	}
	if err := s.initialize(); err != nil {
		return err
	}
	return run(exec.Command("cp", "-a", s.data(), template))
}

// attach returns the server that runs in the directory, emptied, or errNotShared if it is the directory of none.
func attach(dir string) (s *Server, err error) {
	if dir == "" {
		return nil, errNotShared
	}
	s = &Server{dir: dir}
	if s.bin, err = findBinaries(); err != nil {
		return nil, err
	}
	if err := s.giveUpRoot(); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	const portLine = 3 // after process, data directory and start time
	if len(lines) <= portLine {
		return nil, errors.New("the shared server has not started")
	}
	s.port = lines[portLine]
	return s, s.empty()
}

// empty removes the databases of tests, and all roles but that of the tests themselves.
func (s *Server) empty() error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statements := range []string{
		`SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname ~ '^t[0-9]+$'`,
		`SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user`,
	} {
		rows, err := conn.Query(ctx, statements)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, statement := range list {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}
