package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// One call removes all that is due, however much it is.
func TestHousekeepingKeepsUp(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	store := open(t, url)
	const n = 5_000
	fill(t, url, n, -2*time.Hour)
	server.Exec(t, url.Reveal(), fmt.Sprintf(`INSERT INTO answer SELECT 'a', lpad(n::text, 64, '0'),
		(extract(epoch FROM now()) * 1000000)::bigint - 7200000000, true, 'f', 'answer' FROM generate_series(1, %d) n`, n))
	if err := store.ForgetAnswers(t.Context(), time.Hour, 24*time.Hour); err != nil {
		t.Error(err)
	}
	if left := count(t, url, "SELECT count(*) FROM answer WHERE answer IS NOT NULL"); left != 0 {
		t.Errorf("%d of %d responses are left", left, n)
	}
	if left := count(t, url, "SELECT count(*) FROM answer"); left != n {
		t.Errorf("%d of %d keys are left, and none is old enough", left, n)
	}
	if err := store.ForgetAnswers(t.Context(), time.Hour, time.Hour); err != nil {
		t.Error(err)
	}
	if left := count(t, url, "SELECT count(*) FROM answer"); left != 0 {
		t.Errorf("%d of %d keys are left", left, n)
	}
	if err := store.ForgetLines(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
	if left := count(t, url, "SELECT count(*) FROM audit"); left != 0 {
		t.Errorf("%d of %d lines are left", left, n)
	}
}

// Lines from the future, written while the clock was wrong, do not keep old lines from being deleted, and go with them.
func TestLinesFromTheFuture(t *testing.T) {
	const old, young, future = -48 * time.Hour, -time.Hour, 87_600 * time.Hour
	type block struct {
		lines int
		at    time.Duration
	}
	for name, c := range map[string]struct {
		log  []block
		left int // after one call for lines older than a day
	}{
		"first":                  {[]block{{1, future}, {3, old}}, 0},
		"among old lines":        {[]block{{2, old}, {2, future}, {2, old}, {1, young}}, 1},
		"before young lines":     {[]block{{2, old}, {2, future}, {1, young}}, 3},
		"many, before old lines": {[]block{{3500, future}, {10, old}, {5, young}}, 5},
		"many, before others":    {[]block{{3500, future}, {1500, young}}, 5000},
		"alone":                  {[]block{{1001, future}}, 1001},
		"a young one first":      {[]block{{1, young}, {3, old}}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := server.Database(t)
			store := open(t, url)
			for _, b := range c.log {
				fill(t, url, b.lines, b.at)
			}
			for range 2 { // what the first call has seen does not mislead the second
				if err := store.ForgetLines(t.Context(), 24*time.Hour); err != nil {
					t.Fatal(err)
				}
				if left := count(t, url, "SELECT count(*) FROM audit"); left != c.left {
					t.Errorf("%d lines are left, want %d", left, c.left)
				}
			}
			behind := slices.ContainsFunc(c.log, func(b block) bool { return b.at == young })
			if err := store.ForgetLines(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			if left := count(t, url, "SELECT count(*) FROM audit"); behind && left != 0 {
				t.Errorf("when the young lines are old, %d lines are left", left)
			}
		})
	}
}

// The lines of a step are not each compared with all others, which would take longer than all the rest of the step.
func TestForgetLinesReadsThePageOnce(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	open(t, url)
	fill(t, url, 1500, -48*time.Hour)
	conn, err := pgx.Connect(t.Context(), url.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, _ := conn.Query(t.Context(), "EXPLAIN ANALYZE "+postgres.ForgetLinesStatement, time.Hour.Microseconds(), 1000)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	scans := 0
	for _, line := range plan {
		if !strings.Contains(line, "CTE Scan on past") {
			continue
		}
		scans++
		if !strings.Contains(line, "loops=1)") {
			t.Errorf("the page is read again and again: %s", line)
		}
	}
	if scans == 0 {
		t.Errorf("the plan reads no page:\n%s", strings.Join(plan, "\n"))
	}
	if left := count(t, url, "SELECT count(*) FROM audit"); left != 500 {
		t.Errorf("after a step, %d lines are left", left)
	}
}

// fill adds lines to the audit log, as they would be if they had been written that long ago.
func fill(t *testing.T, url secret.Text, lines int, ago time.Duration) {
	t.Helper()
	server.Exec(t, url.Reveal(), fmt.Sprintf(`INSERT INTO audit SELECT last + n, 'filled/' || last + n,
		(extract(epoch FROM now()) * 1000000)::bigint + %d, '', '', '', '', '', '', 0
		FROM generate_series(1, %d) n, (SELECT coalesce(max(id), 0) AS last FROM audit) before`, ago.Microseconds(), lines))
}

func count(t *testing.T, url secret.Text, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url.Reveal())
	if err == nil {
		err = conn.QueryRow(t.Context(), query).Scan(&n)
	}
	if err == nil {
		err = conn.Close(t.Context())
	}
	if err != nil {
		t.Fatal(strings.TrimSpace(query), err)
	}
	return n
}
