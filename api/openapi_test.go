package openapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/errcodes"
)

func TestDocumentIsOpenAPI31(t *testing.T) {
	doc := load(t)
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("openapi: %s, want 3.1", doc.OpenAPI)
	}
}

func TestDocumentListsTheWholeCatalogue(t *testing.T) {
	var want []any
	for _, e := range errcodes.All() {
		want = append(want, float64(e.Code))
	}
	if got := load(t).Components.Schemas["Code"].Value.Enum; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the schema Code lists %v, the catalogue has %v", got, want)
	}
}

// The document lists every reason, and for each code those that it can have.
func TestDocumentListsEveryReason(t *testing.T) {
	schemas := load(t).Components.Schemas
	of, all := map[string][]errcodes.Reason{}, []errcodes.Reason{}
	for _, e := range errcodes.All() {
		for _, c := range e.Causes {
			if !slices.Contains(of[e.Code.String()], c.Reason) {
				of[e.Code.String()], all = append(of[e.Code.String()], c.Reason), append(all, c.Reason)
			}
		}
	}
	if got := schemas["Code"].Value.Extensions["x-pims-reasons"]; fmt.Sprint(got) != fmt.Sprint(of) {
		t.Errorf("the schema Code says %v, the catalogue %v", got, of)
	}
	if got := schemas["Reason"].Value.Enum; fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("the schema Reason lists %v, the catalogue has %v", got, all)
	}
}

// The document, the catalogue and docs/errors.md say the same about every failure that the document shows.
func TestFailuresAreThoseOfTheCatalogueAndItsDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers(load(t)) {
		for _, f := range a.failures(t) {
			entry, ok := errcodes.Lookup(f.code)
			if !ok {
				t.Errorf("%s: %s: there is no code %v", a.where, f.name, f.code)
				continue
			}
			if want := entry.LabelFor(parameterIn(f.label, entry.Label)); f.label != want {
				t.Errorf("%s: %s: label %q, want %q", a.where, f.name, f.label, want)
			}
			cause, ok := causeOf(entry, a.status, f.summary)
			if !ok {
				t.Errorf("%s: %s: the catalogue has no cause %q for %v with %d", a.where, f.name, f.summary, f.code, a.status)
				continue
			}
			_, section, _ := strings.Cut(string(docs), "\n## "+f.code.String()+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
			retry := map[bool]string{true: "yes", false: "–"}[cause.RetryAfter]
			row := fmt.Sprintf("\n| `%s` | %d | %s | `%s` | %s |\n", cause.Reason, cause.HTTP, retry, cause.Advice, cause.When)
			if !strings.Contains(section, entry.Label) || !strings.Contains(section, row) {
				t.Errorf("%s: %s: the section %v of docs/errors.md lacks its label or %q", a.where, f.name, f.code, row)
			}
		}
	}
}

func TestEveryCodeOfTheCallHasAnExample(t *testing.T) {
	var shown []errcodes.Code
	for _, a := range answers(load(t)) {
		if strings.HasPrefix(a.where, "POST /v1/authentication/otp") {
			for _, f := range a.failures(t) {
				shown = append(shown, f.code)
			}
		}
	}
	for _, e := range errcodes.All() {
		if e.WithPIN && !slices.Contains(shown, e.Code) {
			t.Errorf("%v has no example", e.Code)
		}
	}
}

func TestEveryAnswerIsAnEnvelopeWithItsHeaders(t *testing.T) {
	doc := load(t)
	for _, a := range answers(doc) {
		waits := []bool{}
		for _, f := range a.failures(t) {
			entry, _ := errcodes.Lookup(f.code)
			cause, _ := causeOf(entry, a.status, f.summary)
			waits = append(waits, cause.RetryAfter)
		}
		want := map[string]bool{"X-Request-Id": true, "Cache-Control": true} // the name, and whether it is required
		if a.status >= 400 {
			want["X-Pims-Reason"], want["X-Pims-Advice"] = true, true
		}
		if strings.HasPrefix(a.where, "HEAD ") {
			waits = append(waits, a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable)
		}
		if slices.Contains(waits, true) {
			want["Retry-After"] = !slices.Contains(waits, false)
		}
		if canBeReplayed := []int{200, 400, 403, 404, 409, 422, 423, 500, 502}; strings.HasPrefix(a.where, "POST /v1/authentication/otp") &&
			slices.Contains(canBeReplayed, a.status) {
			want["Idempotent-Replayed"] = false
		}
		if strings.HasPrefix(a.where, "POST /v1/authentication/otp 200") {
			want["RateLimit-Policy"], want["RateLimit"] = false, false
		}
		switch a.status {
		case 401:
			want["WWW-Authenticate"] = true
		case 403:
			want["WWW-Authenticate"] = false
		case 405:
			want["Allow"] = true
		}
		got := map[string]bool{}
		for name, header := range a.response.Headers {
			got[name] = header.Value.Required
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: headers %v, want %v", a.where, got, want)
		}
		if strings.HasPrefix(a.where, "HEAD ") { // a client must not look for a body
			if a.response.Content != nil {
				t.Errorf("%s: has a body", a.where)
			}
			continue
		}
		if a.where == "GET /openapi.yaml 200" {
			continue
		}
		content := a.response.Content["application/json"]
		if content == nil || len(content.Examples) == 0 || len(a.response.Content) != 1 {
			t.Errorf("%s: want JSON alone, with an example", a.where)
			continue
		}
		for name, example := range content.Examples {
			if err := content.Schema.Value.VisitJSON(example.Value.Value, openapi3.EnableJSONSchema2020()); err != nil || !isEnvelope(example.Value.Value) {
				t.Errorf("%s: %s: %v, %v", a.where, name, example.Value.Value, err)
			}
		}
	}
}

// isEnvelope reports whether an example is the envelope of a success or of a failure, and nothing else.
func isEnvelope(example any) bool {
	members, _ := example.(map[string]any)
	outcome := map[any]string{"SUCCEEDED": "result", "FAILED": "error"}[members["status"]]
	return len(members) == 3 && members["transactionId"] != nil && members[outcome] != nil
}

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(openapi.Document()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// answer is one documented answer: of an operation, or to what is no operation.
type answer struct {
	where    string
	status   int
	response *openapi3.Response
}

func answers(doc *openapi3.T) []answer {
	all := []answer{
		{"NoSuchPath", 404, doc.Components.Responses["NoSuchPath"].Value},
		{"NoSuchMethod", 405, doc.Components.Responses["NoSuchMethod"].Value},
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				n, _ := strconv.Atoi(status) // 0 for a range or a default, which no cause fits
				all = append(all, answer{method + " " + path + " " + status, n, response.Value})
			}
		}
	}
	return all
}

// failure is what an example of an answer shows.
type failure struct {
	name, summary string
	code          errcodes.Code
	label         string
}

func (a answer) failures(t *testing.T) []failure {
	t.Helper()
	content := a.response.Content["application/json"]
	if content == nil || a.status < 400 {
		return nil
	}
	var all []failure
	for name, example := range content.Examples {
		value, err := json.Marshal(example.Value.Value)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct {
			Error struct {
				Code  errcodes.Code
				Label string
			}
		}
		if err := json.Unmarshal(value, &envelope); err != nil {
			t.Fatalf("%s: %s: %v", a.where, name, err)
		}
		all = append(all, failure{name, example.Value.Summary, envelope.Error.Code, envelope.Error.Label})
	}
	return all
}

func causeOf(entry errcodes.Entry, status int, when string) (errcodes.Cause, bool) {
	i := slices.IndexFunc(entry.Causes, func(c errcodes.Cause) bool { return c.HTTP == status && c.When == when })
	if i < 0 {
		return errcodes.Cause{}, false
	}
	return entry.Causes[i], true
}

// parameterIn returns what is in label where the catalogue's has [PARAMETER], if it has.
func parameterIn(label, catalogue string) string {
	before, after, _ := strings.Cut(catalogue, "[PARAMETER]")
	return strings.TrimSuffix(strings.TrimPrefix(label, before), after)
}
