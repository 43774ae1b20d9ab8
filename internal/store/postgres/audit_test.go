package postgres_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// A store that goes on after its database has moved to another server goes on with higher IDs, whatever that server has
// counted: a dump has the state of the sequence, a logical replica has not.
func TestAuditIDsAfterAMove(t *testing.T) {
	for name, moved := range map[string][]string{
		"with the sequence":        nil,
		"without the sequence":     {"SELECT setval('audit_id', 1, false)"},
		"with a sequence in a gap": {"UPDATE audit SET id = id + 1000", "SELECT setval('audit_id', 500)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			store := open(t, url)
			replace(t, store, 1, 20)
			server.Exec(t, url.Reveal(), append(moved, `SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)...)
			last := lastLine(t, url)
			for err := store.Replace(t.Context(), write(21)); err != nil; err = store.Replace(t.Context(), write(21)) {
				t.Log(err) // connections of the time before fail first
			}
			after := open(t, url) // the connections of which are all of the time after
			replace(t, after, 22, 40)
			expectSteps(t, after, last, 21, 40)
		})
	}
}

// A dump goes to a server whose transactions count lower. After the operator has put every device in doubt, all writes are stored,
// and a follower sees them.
func TestADumpOnAnotherServer(t *testing.T) {
	from, to := ownServer(t), pgtest.New(t)
	a, b := from.Database(t), to.Database(t)
	store := open(t, a)
	from.Exec(t, a.Reveal(), "DO 'BEGIN FOR n IN 1..1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'")
	replace(t, store, 1, 10)
	last := lastLine(t, a)
	dump := from.Command(t, "pg_dump", a.Reveal())
	text, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	load := to.Command(t, "psql", "--quiet", "--set", "ON_ERROR_STOP=1", b.Reveal())
	load.Stdin = bytes.NewReader(text)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	moved, err := postgres.Open(t.Context(), postgres.Options{URL: b, AnyServer: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = moved.Close() }()
	if err := moved.RaiseEpoch(t.Context(), otp.AuditEntry{Caller: "test", Action: "doubt-all"}); err != nil {
		t.Fatal(err)
	}
	raised := lastLine(t, b)
	if raised <= last {
		t.Errorf("an entry has ID %d, which a follower that has seen %d passes over", raised, last)
	}
	replace(t, moved, 11, 30)
	expectSteps(t, moved, raised, 11, 30)
}

// The audit log is shown at once, whatever transactions go on.
func TestTheAuditLogBesideALongTransaction(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	conn, err := pgx.Connect(t.Context(), url.Reveal())
	if err == nil {
		_, err = conn.Exec(t.Context(), "BEGIN; SELECT pg_current_xact_id()")
	}
	if err != nil {
		t.Fatal(err)
	}
	replace(t, store, 1, 3)
	expectSteps(t, store, 0, 1, 3)
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A line whose write is not yet committed is waited for by all later ones.
func TestALineIsNotOvertaken(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	replace(t, store, 1, 1)
	conn, err := pgx.Connect(t.Context(), url.Reveal())
	if err == nil {
		_, err = conn.Exec(t.Context(), `BEGIN; SELECT pg_advisory_xact_lock(8100125747126297705); INSERT INTO audit
			SELECT nextval('audit_id'), 'slow', 0, 'slow', '', '', '', '', '', 2`)
	}
	if err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, 1)
	go func() { stored <- store.Replace(t.Context(), writeOf("a", 2)) }()
	for count(t, url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'") == 0 {
		select {
		case err := <-stored:
			t.Fatalf("a later line is stored first: %v", err)
		default:
		}
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil {
		t.Error(err)
	}
	lines, err := store.AuditAfter(t.Context(), 0, 10)
	if err != nil || len(lines) != 3 || lines[1].Account != "slow" {
		t.Errorf("%+v, %v", lines, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// replace writes those revisions of the account "a".
func replace(t *testing.T, store *postgres.Store, from, to uint64) {
	t.Helper()
	for revision := from; revision <= to; revision++ {
		verb := store.Replace
		if revision == 1 {
			verb = store.Create
		}
		if err := verb(t.Context(), write(revision)); err != nil {
			t.Fatalf("revision %d: %v", revision, err)
		}
	}
}

func lastLine(t *testing.T, url secret.Text) int64 {
	t.Helper()
	return int64(count(t, url, "SELECT max(id) FROM audit"))
}

// expectSteps fails unless a follower that saw the log up to an ID sees those steps then, in their order.
func expectSteps(t *testing.T, store *postgres.Store, after int64, from, to uint64) {
	t.Helper()
	lines, err := store.AuditAfter(t.Context(), after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var steps, want []uint64
	for _, line := range lines {
		steps = append(steps, line.Step)
	}
	for step := from; step <= to; step++ {
		want = append(want, step)
	}
	if fmt.Sprint(steps) != fmt.Sprint(want) {
		t.Errorf("after ID %d there are the steps %v, want %v", after, steps, want)
	}
}
