package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// A lone write is one round trip, one transaction and one flush of the server's log.
func TestCostOfAWrite(t *testing.T) {
	const writes = 50
	own := ownServer(t)
	database := own.Database(t)
	seen, through := observeTraffic(t, database)
	first := open(t, through)
	if err := first.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	for revision := range uint64(10) { // until the connections of a lone writer have the statement prepared
		if err := first.Replace(t.Context(), write(revision+2)); err != nil {
			t.Fatal(err)
		}
	}
	transactions, flushes := spent(t, database)
	before := seen.trips.Load()
	for revision := range uint64(writes) {
		if err := first.Replace(t.Context(), write(revision+12)); err != nil {
			t.Fatal(err)
		}
	}
	if n := seen.trips.Load() - before; n != writes {
		t.Errorf("%d writes took %d round trips", writes, n)
	}
	if err := first.Close(); err != nil { // so that the server has counted everything
		t.Fatal(err)
	}
	// The server has counted more than these writes: those before them, and what it does by itself.
	transactionsThen, flushesThen := spent(t, database)
	if n := transactionsThen - transactions; n < writes || n >= 2*writes {
		t.Errorf("%d writes took %d transactions", writes, n)
	}
	if n := flushesThen - flushes; n < writes || n >= 2*writes {
		t.Errorf("%d writes took %d flushes", writes, n)
	}
	t.Logf("%d writes: %d transactions and %d flushes", writes, transactionsThen-transactions, flushesThen-flushes)
}

// A write that keeps a response is one round trip, too.
func TestTripsOfAWriteWithAResponse(t *testing.T) {
	t.Parallel()
	const warm, writes = 10, 20
	seen, through := observeTraffic(t, server.Database(t))
	store := open(t, through)
	if err := store.Create(t.Context(), write(1)); err != nil {
		t.Fatal(err)
	}
	var before int64
	for i := range uint64(warm + writes) {
		if i == warm {
			before = seen.trips.Load()
		}
		w := write(i + 2)
		w.Response = &otp.KeyedResponse{Key: strings.Repeat("a", 64), StoredResponse: otp.StoredResponse{
			At: time.Now(), Fingerprint: []byte("f"), Answer: secret.NewBytes([]byte("response")),
		}}
		if err := store.Replace(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if n := seen.trips.Load() - before; n != writes {
		t.Errorf("%d writes with a response took %d round trips", writes, n)
	}
}

// spent returns how many transactions and flushes the server has counted. It counts those of a session when the session ends, at the
// latest.
func spent(t *testing.T, database secret.Text) (transactions, flushes int) {
	t.Helper()
	transactions = count(t, database, "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
	return transactions, count(t, database, "SELECT wal_sync FROM pg_stat_wal")
}

// traffic counts the connections that clients have made, and how often the server has said that it is ready for the next query.
type traffic struct{ connections, trips atomic.Int64 }

// observeTraffic returns a URL by which the database is reached, and the traffic of its clients.
func observeTraffic(t *testing.T, database secret.Text) (*traffic, secret.Text) {
	t.Helper()
	through, err := url.Parse(database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	server := through.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var seen traffic
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			seen.connections.Add(1)
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			passing.Go(func() {
				_, _ = io.Copy(upstream, client)
				_ = upstream.Close()
			})
			passing.Go(func() {
				_ = passMessages(client, upstream, &seen.trips)
				_ = client.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		passing.Wait()
	})
	through.Host = listener.Addr().String()
	return &seen, secret.NewText(through.String())
}

// passMessages passes the messages of a server on and counts those that say that it is ready.
func passMessages(client io.Writer, server io.Reader, ready *atomic.Int64) error {
	header := make([]byte, 5)
	for {
		if _, err := io.ReadFull(server, header); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return err
		}
		if header[0] == 'Z' {
			ready.Add(1)
		}
		if _, err := client.Write(append(header[:5:5], body...)); err != nil {
			return err
		}
	}
}
