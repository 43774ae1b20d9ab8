package replicatest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// The indexes of the identity of devices are damaged on the disk of PostgreSQL. A call is refused before inWebo is asked for an OTP, or its
// outcome waits for the repair that docs/operations.md names, which works while the service runs. Nothing that inWebo has answered is
// lost, an answer that cannot be read among it, and the log says what is wrong.
func TestDamagedIndexOfDevicesOnPostgres(t *testing.T) {
	for name, damage := range map[string]struct {
		with byte
		from int // the first page; that before the first leaf describes the index
	}{
		"all pages of garbage":  {0xa5, 0},
		"leaf pages of garbage": {0xa5, 1},
		"leaf pages of zeros":   {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := database.Twin(t)
			store := onPostgres(server)(t)
			knobs := inwebosim.DefaultKnobs()
			knobs.Ratchet, knobs.SecondRound = inwebosim.RatchetNone, inwebosim.SecondRoundNever // no step is lost with the answer
			w := newHarness(t, store, settings{"CONVERSATION_DEADLINE": "12s", "INWEBO_EXCHANGE_TIMEOUT": "5s"}, knobs)
			accounts := w.enroll(2)
			p := w.start()
			w.wantOTP(p, accounts[0])
			overwriteIndexes(t, server, store["DATABASE_URL"], damage.with, damage.from, "device_serial", "device_active")

			before := w.expected(accounts[0])
			a := w.ask(p, accounts[0])
			if asked := w.expected(accounts[0]).Finalizes > before.Finalizes; asked && !w.verifies(accounts[0], a) || !asked && a.code != 2000 {
				t.Errorf("told %v; inWebo was asked for an OTP: %v", a, asked)
			}
			cut := inwebosim.Fault{Kind: inwebosim.KindTruncated, Bytes: -1, Match: inwebosim.Match{Action: "ActionFinalize"}}
			if err := w.inwebo.Plant(cut); err != nil {
				t.Fatal(err)
			}
			before = w.expected(accounts[1])
			told := w.ask(p, accounts[1]) // its outcome is an answer that was not read, which changes another index
			asked := w.expected(accounts[1]).Finalizes > before.Finalizes
			if want := map[bool]int{true: 2316, false: 2000}[asked]; told.code != want {
				t.Errorf("told %v, want %d", told, want)
			}
			until(t, "the log says what is wrong", func() bool { return strings.Contains(p.text(), "the database is damaged") })

			server.Exec(t, store["DATABASE_URL"], "REINDEX TABLE device")
			if asked {
				until(t, "what was answered is stored", func() bool { return w.status(accounts[1]).UnreadAnswers == 1 })
			} else if told := w.askPatiently(p, accounts[1]); told.code != 2316 { // the fault that was not met yet
				t.Errorf("told %v", told)
			}
			for _, account := range accounts {
				w.wantOTP(p, account)
			}
		})
	}
}

// overwriteIndexes fills pages of indexes with one byte, while the server is stopped.
func overwriteIndexes(t *testing.T, server *pgtest.Server, url string, with byte, from int, names ...string) {
	t.Helper()
	const page = 8192
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	files := make([]string, len(names))
	for i, name := range names {
		if err := conn.QueryRow(t.Context(), "SELECT pg_relation_filepath($1::regclass)", name).Scan(&files[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(conn.Close(t.Context()), server.Stop()); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		path := filepath.Join(server.Dir(), "data", file)
		text, err := os.ReadFile(path)
		if err != nil || len(text) <= from*page {
			t.Fatalf("%s has %d bytes (%v)", path, len(text), err)
		}
		copy(text[from*page:], bytes.Repeat([]byte{with}, len(text)))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.StartAgain(); err != nil {
		t.Fatal(err)
	}
}
