package postgres_test

import (
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// What answers the check of a new connection without a row is refused: a panic there, on a goroutine of the pool, would end the process.
func TestAServerThatAnswersWithoutARow(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answerWithoutRows(conn)
		}
	}()
	store, err := postgres.Open(t.Context(), postgres.Options{URL: secret.NewText("postgres://u:p@" + listener.Addr().String() + "/db?sslmode=disable")})
	if err == nil {
		_ = store.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "as PostgreSQL does") {
		t.Errorf("opening it says %v", err)
	}
}

// answerWithoutRows answers each query of a client as an empty one, until the client goes.
func answerWithoutRows(conn net.Conn) {
	defer conn.Close()
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.0"})
	for {
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if backend.Flush() != nil {
			return
		}
		if _, err := backend.Receive(); err != nil {
			return
		}
		backend.Send(&pgproto3.EmptyQueryResponse{})
	}
}
