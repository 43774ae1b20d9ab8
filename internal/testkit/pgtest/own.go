package pgtest

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit"
)

// New starts a server that only this test uses, and may stop. It is removed when the test ends.
func New(tb testing.TB) *Server {
	tb.Helper()
	s, err := Start()
	return s.removedAfter(tb, err)
}

// Twin starts a server that only this test uses, as New does, of a copy of the empty cluster of a server that Main started: in a tenth of the
// time, and with the same system identifier, by which PostgreSQL tells clusters apart.
func (s *Server) Twin(tb testing.TB) *Server {
	tb.Helper()
	twin, err := start(testkit.MemoryDir(), func(twin *Server) error { return run(exec.Command("cp", "-a", s.template(), twin.data())) })
	return twin.removedAfter(tb, err)
}

// TemplateVariable is the environment variable with the directory of an empty cluster, for servers of Main in many processes. The first
// process makes the cluster, which takes longer than all that the others do to start.
const TemplateVariable = "PIMSD_TEST_CLUSTER"

// template returns the directory of a copy of the cluster as it was before the server first ran.
func (s *Server) template() string {
	return cmp.Or(os.Getenv(TemplateVariable), filepath.Join(s.dir, "template"))
}

// Standby starts a standby of the server, which is removed when the test ends. Its name for synchronous_standby_names is "standby".
func (s *Server) Standby(tb testing.TB) *Server {
	tb.Helper()
	standby, err := s.StandbyIn(testkit.MemoryDir())
	return standby.removedAfter(tb, err)
}

// StandbyIn is Standby for a caller that removes it, with its temporary folder in that folder.
func (s *Server) StandbyIn(folder string) (*Server, error) {
	return start(folder, func(standby *Server) error { return run(standby.copyOf(s)) })
}

func (s *Server) removedAfter(tb testing.TB, err error) *Server {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
