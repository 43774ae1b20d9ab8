package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

// TestMain lets this binary play the roles of the command.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{roleBaseline, roleSimulator, roleService}, os.Args[1]) {
		main()
		return
	}
	os.Exit(m.Run())
}

// newLab is a lab without a pimsd of its own: with profiles, this binary is the service as well.
func newLab(t *testing.T) *env {
	t.Helper()
	scratch, err := os.MkdirTemp("", "pimsd-bench-test-") //nolint:usetesting // PostgreSQL could not enter a t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(scratch) })
	l := &env{scratch: scratch, progress: t.Output(), profileDir: t.TempDir(), pimsd: "none"}
	if err := l.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// A rehearsal of one contest, in which every OTP is one that the simulator has issued.
func TestAContest(t *testing.T) {
	l := newLab(t)
	f, err := comparisonRun{callers: 4, otpsPerTurn: 4, pairs: 1, delay: time.Millisecond, targets: againstFloor(inSQLite)}.measure(t.Context(), l, 1)
	if err != nil {
		t.Fatal(err)
	}
	if f.Pairs != segments*4 {
		t.Errorf("%d pairs", f.Pairs)
	}
	if writes, ok := f.find("durable writes of records per OTP"); !ok || writes.Values[0] != 2 {
		t.Errorf("the durable writes of an OTP are %v", writes.Values)
	}
	if p50, ok := f.find("p50"); !ok || p50.Values[0] < 2 || p50.Values[1] < 2 {
		t.Errorf("with two exchanges of a millisecond or more, OTPs took %v ms", p50.Values)
	}
	for _, file := range []string{"cpu", "allocs", "block", "mutex"} {
		if _, err := os.Stat(filepath.Join(l.profileDir, file+".pprof")); err != nil {
			t.Error(err)
		}
	}
}

func TestAStart(t *testing.T) {
	l := newLab(t)
	ready, resident, err := l.startOnce(t.Context(), inSQLite, 10)
	if err != nil || ready <= 0 || resident <= 1 {
		t.Errorf("ready after %v ms with %v MiB, %v", ready, resident, err)
	}
}

// What is copied has the size of what it is copied from, and nothing of its names.
func TestAFleetIsManyOfOne(t *testing.T) {
	l := newLab(t)
	f := profile{Name: "00ff", Count: 3, Of: l.model.device}
	row := f.row(l.model.row, 2)
	body := string(row.Body)
	if len(row.Body) != len(l.model.row.Body) || strings.Contains(body, f.Of.ID) || strings.Contains(body, f.Of.Serial) ||
		!strings.Contains(body, f.id(2)) || !strings.Contains(body, f.serial(2)) {
		t.Errorf("of %s was made %s", l.model.row.Body, body)
	}
	if record, err := otp.Decode(row); err != nil || record.MovedBy != 0 || record.Device == nil {
		t.Errorf("it is read as %+v, %v", record, err)
	}
	if l.model.write < 500 {
		t.Errorf("a write of a record has %d bytes", l.model.write)
	}
}

func TestPrefillClaimsDevices(t *testing.T) {
	l := newLab(t)
	for _, kind := range []string{inSQLite, inPostgres} {
		s, err := l.dataset(t.Context(), kind, 10)
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Input{Environ: s.environ, ReadFile: os.ReadFile, Root: true})
		if err != nil {
			t.Fatal(err)
		}
		core, err := app.OpenRecords(t.Context(), c, app.Use)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := core.Store.BySerial(t.Context(), s.profile.serial(3))
		if err != nil || len(rows) != 1 || !rows[0].Claim.Active || string(rows[0].Account) != s.profile.account(3) {
			t.Errorf("%s: %d accounts claim the device of one, %v", kind, len(rows), err)
		}
		if err := core.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDistantServerAnswersLater(t *testing.T) {
	l := newLab(t)
	s, err := l.server(t.Context(), inDistantPostgres)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.address("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil || time.Since(began) < distance {
		t.Errorf("it answers after %v, %v", time.Since(began), err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTheJournalKeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "journal")
	j, err := openJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one;", "two;"} {
		if err := j.append([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(name); err != nil || len(text) != journalBytes || !strings.HasPrefix(string(text[:16]), "one;two;") {
		t.Errorf("it has %d bytes that begin with %q, %v", len(text), text[:16], err)
	}
}

func TestReadMetrics(t *testing.T) {
	t.Parallel()
	const text = "# HELP go_memstats_mallocs_total x\ngo_memstats_mallocs_total 12\ngo_memstats_alloc_bytes_total 3.5e+3\n" +
		"pimsd_commits_total{outcome=\"done\",write=\"lease\"} 2\npimsd_commits_total{outcome=\"done\",write=\"settle\"} 3\n" +
		"pimsd_commits_total{outcome=\"failed\",write=\"settle\"} 9\n"
	got, err := readMetrics(strings.NewReader(text))
	if want := (counted{allocations: allocations{12, 3500}, Commits: 5}); err != nil || got != want {
		t.Errorf("read as %+v, %v; want %+v", got, err, want)
	}
}

func TestProcessorTimeIsThatOfTheProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for ctx.Err() == nil { // it is the processor that is to be busy
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("before %v, after %v, %v", before, after, err)
	}
	if resident, peak, err := memory(os.Getpid()); err != nil || resident < 1<<20 || peak < resident {
		t.Errorf("%d bytes are resident, and were at most %d, %v", resident, peak, err)
	}
}
