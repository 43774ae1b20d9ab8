package pgtest

import (
	"os/exec"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/memfiles"
)

// New starts a server that only this test uses, and may stop. It is removed when the test ends.
func New(tb testing.TB) *Server {
	tb.Helper()
	s, err := Start()
	return s.removedAfter(tb, err)
}

// Standby starts a standby of the server, which is removed when the test ends. Its name for synchronous_standby_names is "standby".
func (s *Server) Standby(tb testing.TB) *Server {
	tb.Helper()
	standby, err := s.StandbyIn(memfiles.Dir())
	return standby.removedAfter(tb, err)
}

// StandbyIn is Standby for a caller that removes it, with its temporary folder in that folder.
func (s *Server) StandbyIn(folder string) (*Server, error) {
	return start(folder, func(standby *Server) *exec.Cmd { return standby.copyOf(s) })
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
