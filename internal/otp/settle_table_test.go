package otp

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// tableOutcomes are the outcomes that the tables of settleFacts name.
var tableOutcomes = map[string]outcome{
	"neverSent":     {result: neverSent, err: ErrUnreachable},
	"refusedState":  {result: refused, err: ErrState, finalized: true},
	"refused":       {result: refused, err: ErrVersion, finalized: true},
	"wrongPIN":      finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonAccess}),
	"mayCount":      finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonUnknown}),
	"noAnswer":      {result: noAnswer, err: ErrLate},
	"accepted":      ofAnswer(inwebo.Finalized{}, displaced{}),
	"effectUnknown": finalizeFailed(&inwebo.Refusal{Reason: inwebo.ReasonSynchroFailed}),
}

// tableRow is a row of a table: what each column of its head says.
type tableRow map[string]string

// fits reports whether the row is about the facts. Columns of results have no fact.
func (r tableRow) fits(facts map[string]string) bool {
	for column, value := range r {
		fact, isFact := facts[column]
		if isFact && value != "any" && value != "other" && !slices.Contains(strings.Split(value, ","), fact) {
			return false
		}
	}
	return true
}

// settleTables reads the tables in the comment of settleFacts, by the name of their first column of results.
func settleTables(t *testing.T) map[string][]tableRow {
	t.Helper()
	file, err := os.Open("apply.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tables := map[string][]tableRow{}
	var head []string
	name := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text, isTable := strings.CutPrefix(lines.Text(), "//\t")
		facts, results, hasBar := strings.Cut(text, "|")
		switch cells := append(strings.Fields(facts), strings.Fields(results)...); {
		case !isTable || !hasBar:
			head = nil
		case head == nil:
			head, name = cells, strings.Fields(results)[0]
		case len(cells) != len(head):
			t.Fatalf("a row of table %s has %d columns, and its head %d: %s", name, len(cells), len(head), text)
		default:
			row := tableRow{}
			for i, cell := range cells {
				row[head[i]] = cell
			}
			tables[name] = append(tables[name], row)
		}
	}
	return tables
}

// decisions returns what the predicates decide, by the columns of the tables.
func decisions(f settleFacts, superseded bool) map[string]string {
	word := func(is bool, yes, no string) string {
		if is {
			return yes
		}
		return no
	}
	d := map[string]string{
		"attempt":    string(f.attemptEffect()),
		"issue":      word(f.releasesIssue(), "released", "kept"),
		"activation": word(f.releasesActivation(), "released", "kept"),
		"enrollment": word(f.dropsEnrollment(), "dropped", "kept"),
	}
	switch err := f.callerErr(superseded); {
	case errors.Is(err, ErrSuperseded):
		d["callerErr"] = "superseded"
	case errors.Is(err, ErrInDoubt):
		d["callerErr"] = "inDoubt"
	case errors.Is(err, f.outcome.err):
		d["callerErr"] = "unchanged"
	}
	return d
}

// The predicates that decide a settle agree with the tables above them, for every combination of facts.
func TestSettleTables(t *testing.T) {
	tables := settleTables(t)
	if len(tables) != 3 {
		t.Fatalf("the comment of settleFacts has %d tables, want 3", len(tables))
	}
	used := map[string]map[int]bool{}
	yes := func(is bool) string { return map[bool]string{true: "yes", false: "no"}[is] }
	for name, o := range tableOutcomes {
		for bits := range 1 << 5 {
			is := func(bit int) bool { return bits&(1<<bit) != 0 }
			f := settleFacts{outcome: o, leased: is(0), last: is(1), enrolls: is(2)}
			if is(3) {
				f.rounds = 1
			}
			superseded := is(4)
			facts := map[string]string{
				"outcome": name, "leased": yes(f.leased), "last": yes(f.last), "ends": yes(f.last || !f.leased), "enrolls": yes(f.enrolls),
				"rounds": strconv.Itoa(f.rounds), "superseded": yes(superseded),
			}
			got := decisions(f, superseded)
			for table, rows := range tables {
				i := slices.IndexFunc(rows, func(r tableRow) bool { return r.fits(facts) })
				if i < 0 {
					t.Fatalf("no row of table %s fits %v", table, facts)
				}
				if used[table] == nil {
					used[table] = map[int]bool{}
				}
				used[table][i] = true
				for column, want := range rows[i] {
					if decided, isResult := got[column]; isResult && decided != want {
						t.Errorf("%v: %s is %s, want %s", facts, column, decided, want)
					}
				}
			}
		}
	}
	for table, rows := range tables {
		if len(used[table]) != len(rows) {
			t.Errorf("%d of %d rows of table %s fit no facts", len(rows)-len(used[table]), len(rows), table)
		}
	}
}
