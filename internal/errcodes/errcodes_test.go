package errcodes

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/errors.md again and pin codes that are new")

// The pin: a line that it holds stays true for ever. -update adds lines and never changes one.
func TestCatalogueIsAppendOnly(t *testing.T) {
	const pin = "testdata/catalogue.golden"
	data, err := os.ReadFile(pin)
	if err != nil {
		t.Fatal(err)
	}
	pinned := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")

	var now []string
	for _, e := range All() {
		now = append(now, e.Code.String()+" "+e.Label)
	}
	for _, line := range pinned {
		if !slices.Contains(now, line) {
			t.Errorf("%q was published; the catalogue may not drop or change it", line)
		}
	}
	fresh := slices.DeleteFunc(now, func(line string) bool { return slices.Contains(pinned, line) })
	switch {
	case len(fresh) == 0 || t.Failed():
	case *update:
		pinned = append(pinned, fresh...)
		if err := os.WriteFile(pin, []byte(strings.Join(pinned, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%q is new; pin it with -update", fresh)
	}
}

func TestEntriesAreWhole(t *testing.T) {
	strict := json.NewDecoder(bytes.NewReader(catalogText))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&[]Entry{}); err != nil {
		t.Errorf("catalog.json: %v", err)
	}
	var codes []Code
	types := map[Code]string{20: "Generic error", 21: "Input error", 22: "Output Error", 23: "PIMS specific error"}
	for _, e := range All() {
		codes = append(codes, e.Code)
		if e.Type != types[e.Code/100] {
			t.Errorf("%v: type %q is not that of its hundred", e.Code, e.Type)
		}
		if e.Label == "" || e.Label != strings.TrimSpace(e.Label) || len(e.Causes) == 0 {
			t.Errorf("%v: the label is %q, the causes are %d", e.Code, e.Label, len(e.Causes))
		}
		for _, c := range e.Causes {
			if !slices.Contains([]Advice{"retry", "ask_pin", "enroll", "operator", "fix_request", "give_up"}, c.Advice) {
				t.Errorf("%v: advice %q", e.Code, c.Advice)
			}
			if c.HTTP < 400 || http.StatusText(c.HTTP) == "" || !isClause(c.When) {
				t.Errorf("%v: cause %+v", e.Code, c)
			}
			if always := c.HTTP == http.StatusTooManyRequests || c.HTTP == http.StatusServiceUnavailable; always && !c.RetryAfter {
				t.Errorf("%v: %d always says Retry-After", e.Code, c.HTTP)
			}
		}
		if !strings.HasSuffix(e.Caller, ".") || !strings.HasSuffix(e.Operator, ".") {
			t.Errorf("%v: advice that is no sentence: %q, %q", e.Code, e.Caller, e.Operator)
		}
	}
	if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
		t.Errorf("not in ascending order, or twice: %v", codes)
	}
	for _, declared := range declaredCodes(t) {
		if !slices.Contains(codes, declared) {
			t.Errorf("the catalogue has no %v, of which there is a constant", declared)
		}
	}
}

// A reason has one code, one status and one advice, whatever the catalogue says that it means. Reasons are append-only: each that
// was published is listed here.
func TestReasonsSayOneThing(t *testing.T) {
	type said struct {
		code   Code
		http   int
		retry  bool
		advice Advice
	}
	rows := map[Reason]said{}
	for _, e := range All() {
		for _, c := range e.Causes {
			row := said{e.Code, c.HTTP, c.RetryAfter, c.Advice}
			if other, ok := rows[c.Reason]; ok && other != row {
				t.Errorf("%s says %v and %v", c.Reason, other, row)
			}
			rows[c.Reason] = row
			if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(string(c.Reason)) {
				t.Errorf("%q is not a lower-case word", c.Reason)
			}
			if c.RetryAfter && c.Advice != "retry" {
				t.Errorf("%s comes with Retry-After, and its advice is %s", c.Reason, c.Advice)
			}
		}
	}
	published, err := os.ReadFile("testdata/reasons.golden")
	if err != nil {
		t.Fatal(err)
	}
	for reason := range strings.FieldsSeq(string(published)) {
		if _, ok := rows[Reason(reason)]; !ok {
			t.Errorf("%s was published, and is missing", reason)
		}
	}
	if got, want := len(rows), len(strings.Fields(string(published))); got != want {
		t.Errorf("there are %d reasons, and testdata/reasons.golden has %d: add the new ones", got, want)
	}
	source, err := os.ReadFile("reasons.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\tReason\w+ +Reason = "(\w+)"$`).FindAllSubmatch(source, -1) {
		if _, ok := rows[Reason(m[1])]; !ok {
			t.Errorf("no code has the reason %s", m[1])
		}
	}
}

// A clause completes a sentence and fits in a line of a menu.
func isClause(s string) bool {
	return s != "" && len(s) <= 110 && !strings.HasSuffix(s, ".") && s == strings.TrimSpace(s)
}

// declaredCodes reads the constants, OK aside, from the source.
func declaredCodes(t *testing.T) []Code {
	t.Helper()
	source, err := os.ReadFile("errcodes.go")
	if err != nil {
		t.Fatal(err)
	}
	var codes []Code
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ +Code = (\d{4})$`).FindAllSubmatch(source, -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, Code(n))
	}
	return codes
}

// What the SDK publishes, and what pimsd promised to answer it with (docs/contract.md §2).
func TestCatalogueKeepsTheContract(t *testing.T) {
	want := []struct {
		code     Code
		withPIN  bool
		statuses []int
	}{
		{UnknownError, true, []int{500}},
		{FacadeNotInitialized, true, []int{503, 429}},
		{2002, false, []int{404, 405}},
		{2005, false, []int{409}},
		{CoreNotConfigured, true, []int{500}},
		{MissingParameter, true, []int{400}},
		{InvalidParameter, true, []int{400, 413, 415, 422}},
		{2202, true, []int{502, 504}},
		{2301, false, []int{401, 403}},
		{2305, false, []int{422}},
		{2308, true, []int{403, 429, 423}},
		{2309, true, []int{502}},
		{2310, true, []int{423}},
		{2311, true, []int{409}},
		{2312, true, []int{404}},
		{2313, true, []int{409}},
		{2314, true, []int{409}},
		{2315, false, []int{409}},
		{PostSyncFailed, true, []int{502}},
		{2317, true, []int{403}},
		{2348, false, []int{409, 429}},
		{2349, false, []int{409}},
	}
	if len(want) != len(All()) {
		t.Errorf("%d codes, want %d", len(All()), len(want))
	}
	for _, w := range want {
		e, ok := Lookup(w.code)
		if !ok || e.Code != w.code || e.WithPIN != w.withPIN || !slices.Equal(e.Statuses(), w.statuses) {
			t.Errorf("Lookup(%v) = %v %v withPIN=%v %v, want %+v", w.code, e.Code, ok, e.WithPIN, e.Statuses(), w)
		}
	}
	for _, c := range []Code{OK, 2003, -1} {
		if e, ok := Lookup(c); ok {
			t.Errorf("Lookup(%v) = %+v", c, e)
		}
	}
}

// inWebo's refusals, by docs/protocol.md §7.
func TestEveryRefusalHasItsCode(t *testing.T) {
	for refusal, want := range map[string][]Code{
		"NOK:CODE":          {2305},
		"NOK:SN":            {UnknownError, InvalidParameter},
		"NOK:ACCESS":        {2308, PostSyncFailed},
		"NOK:VERSION":       {2309},
		"NOK:NOK_BLOCKED":   {2310},
		"NOK:BLOCKED":       {2310},
		"NOK:STATE":         {2311, PostSyncFailed},
		"NOK:NODEVICE":      {2312},
		"NOK:NOCA":          {2313},
		"NOK:NOSRV":         {2314},
		"NOK:PINREUSED":     {2315},
		"NOK:SYNCHROFAILED": {PostSyncFailed},
		"NOK:FORBIDDEN":     {PostSyncFailed, 2317},
		"NOK:PINREFUSED":    {InvalidParameter},
		"NOK:TIMEOUT":       {2311},
		"NOK:MAXNBTOOLS":    {2348},
		"NOK:BIOKEY":        {2310},
		"NOK:SAT":           {UnknownError},
		"NOK:URL":           {UnknownError},
		"NOK:ERR1":          {UnknownError},
		"NOK:NOPUSH":        {UnknownError},
	} {
		var got []Code
		for _, e := range All() {
			words := strings.FieldsFunc(strings.Join(e.Wire, " "), func(r rune) bool { return r == ' ' || r == ',' })
			if slices.Contains(words, refusal) {
				got = append(got, e.Code)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s becomes %v, want %v", refusal, got, want)
		}
	}
}

func TestLabelFor(t *testing.T) {
	missing, _ := Lookup(MissingParameter)
	blocked, _ := Lookup(2310)
	long := strings.Repeat("x", 64)
	for _, tt := range []struct {
		entry           Entry
		parameter, want string
	}{
		{missing, "pinCode", "Missing pinCode parameter"},
		{missing, "X-Pims-Account", "Missing X-Pims-Account parameter"},
		{missing, long, "Missing " + long + " parameter"},
		{missing, long + "x", "Missing body parameter"},
		{missing, "", "Missing body parameter"},
		{missing, "pin\ncode", "Missing body parameter"},
		{missing, "[PARAMETER]", "Missing body parameter"},
		{missing, "pïn", "Missing body parameter"},
		{blocked, "pinCode", "inwebo: account is blocked"},
	} {
		if got := tt.entry.LabelFor(tt.parameter); got != tt.want {
			t.Errorf("LabelFor(%q) = %q, want %q", tt.parameter, got, tt.want)
		}
	}
	allowed := regexp.MustCompile(`^[A-Za-z0-9_-]$`)
	for r := range rune(0x300) {
		if got := missing.LabelFor(string(r)) != "Missing body parameter"; got != allowed.MatchString(string(r)) {
			t.Errorf("LabelFor(%q) repeats it: %v", string(r), got)
		}
	}
}

func TestCodeIsANumberInJSON(t *testing.T) {
	got, err := json.Marshal(map[string]any{"code": Code(2310)})
	if err != nil || string(got) != `{"code":2310}` {
		t.Errorf("%s, %v", got, err)
	}
	if s := Code(2310).String() + OK.String(); s != "23100" {
		t.Errorf("as text: %q", s)
	}
}
