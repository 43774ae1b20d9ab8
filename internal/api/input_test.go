package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// padded is a good body of so many bytes.
func padded(size int) string {
	return aBody[:len(aBody)-1] + strings.Repeat(" ", size-len(aBody)) + "}"
}

// The bad input that never reaches the domain, and the exact answer to each.
func TestBadInput(t *testing.T) {
	b := newBench(t)
	const missing, invalid = 2101, 2102
	name64 := strings.Repeat("a-Z_9012", 8)
	for _, tt := range []struct {
		name    string
		request request
		status  int
		code    int
		label   string
	}{
		{"empty body", request{}, 400, invalid, "Invalid body parameter"},
		{"blanks", request{body: " \n"}, 400, invalid, "Invalid body parameter"},
		{"a list", request{body: `[]`}, 400, invalid, "Invalid body parameter"},
		{"a list of the object", request{body: `[` + aBody + `]`}, 400, invalid, "Invalid body parameter"},
		{"null", request{body: `null`}, 400, invalid, "Invalid body parameter"},
		{"a number", request{body: `1234`}, 400, invalid, "Invalid body parameter"},
		{"a text", request{body: `"withPIN"`}, 400, invalid, "Invalid body parameter"},
		{"not JSON", request{body: `action=withPIN&pinCode=0987`}, 400, invalid, "Invalid body parameter"},
		{"cut", request{body: aBody[:len(aBody)-1]}, 400, invalid, "Invalid body parameter"},
		{"a comma too many", request{body: `{"action":"withPIN","pinCode":"0987",}`}, 400, invalid, "Invalid body parameter"},
		{"a comment", request{body: aBody + `//`}, 400, invalid, "Invalid body parameter"},
		{"trailing data", request{body: aBody + `x`}, 400, invalid, "Invalid body parameter"},
		{"trailing object", request{body: aBody + aBody}, 400, invalid, "Invalid body parameter"},
		{"trailing NUL", request{body: aBody + "\x00"}, 400, invalid, "Invalid body parameter"},
		{"byte order mark", request{body: "\ufeff" + aBody}, 400, invalid, "Invalid body parameter"},
		{"invalid UTF-8 in a value", request{body: "{\"action\":\"withPIN\xff\",\"pinCode\":\"0987\"}"}, 400, invalid, "Invalid body parameter"},
		{"invalid UTF-8 in a name", request{body: "{\"action\xc3\":\"withPIN\",\"pinCode\":\"0987\"}"}, 400, invalid, "Invalid body parameter"},
		{"UTF-16", request{body: "\xff\xfe{\x00}\x00"}, 400, invalid, "Invalid body parameter"},
		{"deeper than JSON is read", request{body: `{"action":` + strings.Repeat("[", 12000)}, 400, invalid, "Invalid body parameter"},
		{"repeated name", request{body: `{"action":"withPIN","pinCode":"0987","pinCode":"0987"}`}, 400, invalid, "Invalid body parameter"},
		{"repeated name, escaped", request{body: `{"action":"withPIN","pinCode":"0987","pin\u0043ode":"1"}`}, 400, invalid, "Invalid body parameter"},
		{"repeated name, nested", request{body: `{"action":"withPIN","pinCode":{"a":1,"a":2}}`}, 400, invalid, "Invalid body parameter"},
		{"repeated name, nested deeper", request{body: `{"action":"withPIN","pinCode":[{"b":[{"a":1,"a":2}]}]}`}, 400, invalid, "Invalid body parameter"},

		{"17 KiB", request{body: padded(17 << 10)}, 413, invalid, "Invalid body parameter"},
		{"a byte more than 16 KiB", request{body: padded(16<<10 + 1)}, 413, invalid, "Invalid body parameter"},
		{"1 MiB", request{body: padded(1 << 20)}, 413, invalid, "Invalid body parameter"},

		{"no content type", request{header: "Content-Type:", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"another content type", request{header: "Content-Type: text/plain", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"a form", request{header: "Content-Type: application/x-www-form-urlencoded", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"kind of JSON", request{header: "Content-Type: application/merge-patch+json", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"two content types", request{header: "Content-Type: application/json, text/plain", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"content type twice", request{header: "+Content-Type: application/json", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"broken parameter", request{header: "Content-Type: application/json; charset", body: aBody}, 415, invalid, "Invalid Content-Type parameter"},
		{"compressed", request{header: "Content-Encoding: gzip", body: aBody}, 415, invalid, "Invalid Content-Encoding parameter"},
		{"compressed after all", request{header: "Content-Encoding: identity\n+Content-Encoding: gzip", body: aBody}, 415, invalid, "Invalid Content-Encoding parameter"},

		{"unknown name", request{body: `{"action":"withPIN","pinCode":"0987","lang":"fr"}`}, 400, invalid, "Invalid lang parameter"},
		{"unknown name, null", request{body: `{"action":"withPIN","pinCode":"0987","lang":null}`}, 400, invalid, "Invalid lang parameter"},
		{"two unknown names", request{body: `{"z":1,"action":"withPIN","a":1,"pinCode":"0987"}`}, 400, invalid, "Invalid z parameter"},
		{"PinCode", request{body: `{"action":"withPIN","PinCode":"0987"}`}, 400, invalid, "Invalid PinCode parameter"},
		{"pincode besides pinCode", request{body: `{"action":"withPIN","pinCode":"0987","pincode":"0987"}`}, 400, invalid, "Invalid pincode parameter"},
		{"ACTION", request{body: `{"ACTION":"withPIN","pinCode":"0987"}`}, 400, invalid, "Invalid ACTION parameter"},
		{"name of 64", request{body: `{"` + name64 + `":1}`}, 400, invalid, "Invalid " + name64 + " parameter"},
		{"name of 65", request{body: `{"` + name64 + `a":1}`}, 400, invalid, "Invalid body parameter"},
		{"name of nothing", request{body: `{"":1}`}, 400, invalid, "Invalid body parameter"},
		{"name with a line break", request{body: `{"a\nb":1}`}, 400, invalid, "Invalid body parameter"},
		{"name beyond ASCII", request{body: `{"áction":1}`}, 400, invalid, "Invalid body parameter"},
		{"name of a long s", request{body: `{"action":"withPIN","pinCode":"0987","ſ":1}`}, 400, invalid, "Invalid body parameter"},
		{"name in markup", request{body: `{"<b>":1}`}, 400, invalid, "Invalid body parameter"},

		{"empty object", request{body: `{}`}, 400, missing, "Missing action parameter"},
		{"no action", request{body: `{"pinCode":"0987"}`}, 400, missing, "Missing action parameter"},
		{"action null", request{body: `{"action":null,"pinCode":"0987"}`}, 400, missing, "Missing action parameter"},
		{"action empty", request{body: `{"action":"","pinCode":"0987"}`}, 400, missing, "Missing action parameter"},
		{"no pinCode", request{body: `{"action":"withPIN"}`}, 400, missing, "Missing pinCode parameter"},
		{"pinCode null", request{body: `{"action":"withPIN","pinCode":null}`}, 400, missing, "Missing pinCode parameter"},
		{"pinCode empty", request{body: `{"action":"withPIN","pinCode":""}`}, 400, missing, "Missing pinCode parameter"},
		{"no pinCode, another action", request{body: `{"action":"withBiokey"}`}, 400, missing, "Missing pinCode parameter"},
		{"no pinCode, action deep", request{body: `{"action":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `}`}, 400, missing, "Missing pinCode parameter"},
		{"pinCode a number, no action", request{body: `{"pinCode":1234}`}, 400, missing, "Missing action parameter"},

		{"another action", request{body: `{"action":"withBiokey","pinCode":"0987"}`}, 400, invalid, "Invalid action parameter"},
		{"action in another case", request{body: `{"action":"WithPIN","pinCode":"0987"}`}, 400, invalid, "Invalid action parameter"},
		{"action with a blank", request{body: `{"action":"withPIN ","pinCode":"0987"}`}, 400, invalid, "Invalid action parameter"},
		{"action a list", request{body: `{"action":["withPIN"],"pinCode":"0987"}`}, 400, invalid, "Invalid action parameter"},
		{"both invalid, pinCode first", request{body: `{"pinCode":1,"action":2}`}, 400, invalid, "Invalid action parameter"},
		{"pinCode a number", request{body: `{"action":"withPIN","pinCode":1234}`}, 400, invalid, "Invalid pinCode parameter"},
		{"pinCode a huge number", request{body: `{"action":"withPIN","pinCode":1e999}`}, 400, invalid, "Invalid pinCode parameter"},
		{"pinCode false", request{body: `{"action":"withPIN","pinCode":false}`}, 400, invalid, "Invalid pinCode parameter"},
		{"pinCode an empty list", request{body: `{"action":"withPIN","pinCode":[]}`}, 400, invalid, "Invalid pinCode parameter"},
		{"pinCode an object", request{body: `{"action":"withPIN","pinCode":{"pinCode":"0987"}}`}, 400, invalid, "Invalid pinCode parameter"},
		{"3 digits", request{body: `{"action":"withPIN","pinCode":"123"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"9 digits", request{body: `{"action":"withPIN","pinCode":"123456789"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"a letter", request{body: `{"action":"withPIN","pinCode":"12a4"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"a sign", request{body: `{"action":"withPIN","pinCode":"+1234"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"a point", request{body: `{"action":"withPIN","pinCode":"12.34"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"a blank", request{body: `{"action":"withPIN","pinCode":" 1234"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"a line break at the end", request{body: `{"action":"withPIN","pinCode":"1234\n"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"a NUL at the end", request{body: `{"action":"withPIN","pinCode":"1234\u0000"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"Arabic digits", request{body: `{"action":"withPIN","pinCode":"١٢٣٤"}`}, 400, invalid, "Invalid pinCode parameter"},
		{"half a surrogate pair", request{body: `{"action":"withPIN","pinCode":"1234\ud800"}`}, 400, invalid, "Invalid pinCode parameter"},

		{"wrong path", request{path: "/v1/authentication/otps", body: aBody}, 404, 2002, "API not supported"},
		{"root", request{method: "GET", path: "/"}, 404, 2002, "API not supported"},
		{"trailing slash", request{path: "/v1/authentication/otp/", body: aBody}, 404, 2002, "API not supported"},
		{"two slashes", request{path: "/v1//authentication/otp", body: aBody}, 404, 2002, "API not supported"},
		{"leading slashes", request{path: "//v1/authentication/otp", body: aBody}, 404, 2002, "API not supported"},
		{"dots", request{path: "/v1/x/../authentication/otp", body: aBody}, 404, 2002, "API not supported"},
		{"path in capitals", request{path: "/V1/authentication/otp", body: aBody}, 404, 2002, "API not supported"},
		{"path encoded", request{path: "/v1/authentication/%6ftp", body: aBody}, 404, 2002, "API not supported"},
		{"slash encoded", request{path: "/v1%2Fauthentication/otp", body: aBody}, 404, 2002, "API not supported"},
		{"operators' path", request{method: "GET", path: "/metrics"}, 404, 2002, "API not supported"},
		{"path encoded, unheard-of method", request{method: "BREW", path: "/v1/authentication/%6ftp"}, 404, 2002, "API not supported"},
		{"wrong path, unheard-of method", request{method: "BREW", path: "/v2"}, 404, 2002, "API not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := b.send(t, tt.request)
			got.is(t, tt.status, tt.code, tt.label)
			e := b.journal.last(t)
			if int(e.Code) != tt.code || e.Status != tt.status || e.Err == nil {
				t.Errorf("the event is %+v", e)
			}
		})
	}
	if len(b.domain.asked) > 0 {
		t.Errorf("the domain was asked %d times", len(b.domain.asked))
	}
}

// What strictness allows.
func TestGoodInput(t *testing.T) {
	b := newBench(t)
	good := map[string]request{
		"plain":                 {body: aBody},
		"other order, blanks":   {body: " {\n\t\"pinCode\" : \"0987\" ,\r\n \"action\":\"withPIN\" } \n"},
		"escaped":               {body: `{"\u0061ction":"with\u0050IN","pinCode":"\u0030987"}`},
		"exactly 16 KiB":        {body: padded(16 << 10)},
		"content type, charset": {header: "Content-Type: Application/JSON ; charset=\"utf-8\"", body: aBody},
		"identity":              {header: "Content-Encoding: identity", body: aBody},
		"a query":               {path: "/v1/authentication/otp?pretty", body: aBody},
		"the bound account":     {header: "X-Pims-Account: alice", body: aBody},
		"scheme in lower case":  {header: "Authorization: bearer " + aToken, body: aBody},
	}
	for name, r := range good {
		t.Run(name, func(t *testing.T) {
			got := b.send(t, r)
			want := fmt.Sprintf(`{"transactionId":%q,"status":"SUCCEEDED","result":{"otp":"0lyo2o6c"}}`, got.transaction())
			if got.status != 200 || got.body != want {
				t.Errorf("got %d %s, want %s", got.status, got.body, want)
			}
			if asked := b.domain.pins; asked[len(asked)-1] != aPIN {
				t.Errorf("the domain was asked with the PIN %q", asked[len(asked)-1])
			}
		})
	}
	if got := len(b.domain.asked); got != len(good) {
		t.Errorf("the domain was asked %d times, want %d", got, len(good))
	}
}

func TestPINsOf4To8Digits(t *testing.T) {
	b := newBench(t)
	for length := range 12 {
		pin := "00000987654321"[:length]
		got := b.send(t, request{body: fmt.Sprintf(`{"action":"withPIN","pinCode":%q}`, pin)})
		if good := length >= 4 && length <= 8; good != (got.status == 200) {
			t.Errorf("%q: %d", pin, got.status)
		}
	}
}
