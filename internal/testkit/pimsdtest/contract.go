package pimsdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	openapi "github.com/pimsd/pimsd/api"
)

// Contract checks the answers of a running pimsd against openapi.yaml, which it publishes. It may be used from several goroutines.
type Contract struct{ doc *openapi3.T }

// NewContract returns the embedded contract, which is loaded and validated once for a process.
func NewContract(tb testing.TB) *Contract {
	tb.Helper()
	doc, err := loadContract()
	if err != nil {
		tb.Fatalf("the contract is not OpenAPI 3.1: %v", err)
	}
	return &Contract{doc}
}

// loadContract never returns anything else, and every daemon of a test needs it.
var loadContract = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(openapi.Document()))
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// Check fails tb unless the contract allows resp, whose body has been read, as an answer to req.
func (c *Contract) Check(tb testing.TB, req *http.Request, resp *http.Response, body []byte) {
	tb.Helper()
	if err := c.verify(req, resp, body); err != nil {
		tb.Errorf("%s %s: the answer is not the one of the contract: %v", req.Method, req.URL.Path, err)
	}
}

func (c *Contract) verify(req *http.Request, resp *http.Response, body []byte) error {
	operation := c.operation(req, resp)
	documented := operation.Responses.Status(resp.StatusCode)
	if documented == nil {
		return fmt.Errorf("status %d is not documented", resp.StatusCode)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: req,
			Route:   &routers.Route{Spec: c.doc, Operation: operation},
		},
		Status: resp.StatusCode,
		Header: resp.Header,
	}
	if req.Method == http.MethodHead { // has the headers of the answer to a GET, and no body
		input.RequestValidationInput.Request = &http.Request{Method: http.MethodGet}
		input.Options = &openapi3filter.Options{ExcludeResponseBody: true}
	}
	input.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(req.Context(), input); err != nil {
		return err
	}
	return checkCode(documented.Value, body)
}

// operation returns what the contract says about a request. To one that it does not know there is one answer: no such
// method on a known path, else no such path.
func (c *Contract) operation(req *http.Request, resp *http.Response) *openapi3.Operation {
	status, component := http.StatusNotFound, "NoSuchPath"
	item := c.item(req.URL.EscapedPath())
	if item != nil && len(item.Servers) > 0 && resp.StatusCode == http.StatusNotFound && isNoSuchPath(resp) {
		item = nil // it is another listener's
	}
	if item != nil {
		if operation := item.GetOperation(req.Method); operation != nil {
			return operation
		}
		status, component = http.StatusMethodNotAllowed, "NoSuchMethod"
	}
	return &openapi3.Operation{
		Responses: openapi3.NewResponses(openapi3.WithStatus(status, c.doc.Components.Responses[component])),
	}
}

func isNoSuchPath(resp *http.Response) bool {
	return resp.Header.Get("X-Pims-Reason") == "no_such_path"
}

// item returns what the contract says about a path, which may have parameters; nil when it knows no such path.
func (c *Contract) item(path string) *openapi3.PathItem {
	if item := c.doc.Paths.Value(path); item != nil {
		return item
	}
	segments := strings.Split(path, "/")
	for template, item := range c.doc.Paths.Map() {
		wanted := strings.Split(template, "/")
		if len(wanted) == len(segments) && slices.EqualFunc(wanted, segments, func(want, got string) bool {
			return want == got || strings.HasPrefix(want, "{") && got != ""
		}) {
			return item
		}
	}
	return nil
}

// checkCode refuses a code that no example of the response has: the examples say which codes travel with which status.
func checkCode(response *openapi3.Response, body []byte) error {
	content := response.Content["application/json"]
	if content == nil || len(body) == 0 {
		return nil
	}
	code, err := codeOf(body)
	if err != nil {
		return err
	}
	for name, example := range content.Examples {
		documented, err := json.Marshal(example.Value.Value)
		if err != nil {
			return fmt.Errorf("example %s: %w", name, err)
		}
		if c, err := codeOf(documented); err == nil && c == code {
			return nil
		}
	}
	return fmt.Errorf("code %d is not documented for this status", code)
}

// codeOf returns error.code of an envelope, 0 when it has no error.
func codeOf(envelope []byte) (int, error) {
	var e struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	err := json.Unmarshal(envelope, &e)
	return e.Error.Code, err
}
