package api_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/otp"
)

func TestWrongMethods(t *testing.T) {
	b := newBench(t)
	for path, has := range map[string]string{
		api.RouteOTP: "POST", api.RouteContract: "GET, HEAD", api.RouteSMSCode: "POST", api.RouteEnrollment: "POST",
		api.RouteAccount: "GET, HEAD, POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post"} {
			if slices.Contains(strings.Split(has, ", "), method) {
				continue
			}
			got := b.send(t, request{method: method, path: path})
			if allow := got.header.Values("Allow"); len(allow) != 1 || allow[0] != has {
				t.Errorf("%s %s: Allow is %q", method, path, allow)
			}
			if method == "HEAD" {
				if got.status != 405 || got.body != "" {
					t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
				}
			} else {
				got.is(t, 405, 2002, "API not supported")
			}
			e := b.journal.last(t)
			known := method
			if method == "PROPFIND" || method == "post" {
				known = "other"
			}
			if e.Method != known || e.Route != path || e.Code != 2002 {
				t.Errorf("%s %s: the event is %+v", method, path, e)
			}
		}
	}
	if got := b.send(t, request{method: "HEAD", path: "/"}); got.status != 404 || got.body != "" {
		t.Errorf("HEAD /: %d %s", got.status, got.body)
	}
}

func TestTheContractIsServedToEveryone(t *testing.T) {
	b := newBench(t)
	got := b.send(t, request{method: "GET", path: api.RouteContract, header: "Authorization:"})
	if got.status != 200 || got.body != openapi.Document() || got.header.Get("Content-Type") != "application/yaml; charset=utf-8" {
		t.Errorf("%d %s, %d bytes", got.status, got.header.Get("Content-Type"), len(got.body))
	}
	if e := b.journal.last(t); e.Route != api.RouteContract || e.Code != 0 || e.Status != 200 || e.Err != nil {
		t.Errorf("the event is %+v", e)
	}
}

// Every route of both listeners is in the contract, and the other way round. So TestWhoMayCallWhat, which has every operation of the
// contract, has every route.
func TestEveryRouteIsInTheContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(openapi.Document()))
	if err != nil {
		t.Fatal(err)
	}
	var served, documented []string
	for _, a := range []*api.API{api.New(api.Config{}), api.NewAdmin(api.Config{}, nil, nil)} {
		err := chi.Walk(a.Routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
			served = append(served, method+" "+route)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	if served = slices.Compact(served); !slices.Equal(served, documented) { // both listeners have the contract
		t.Errorf("the listeners have\n%q, and the contract\n%q", served, documented)
	}
}

// TestHEADWhereverThereIsGET: it is answered like a GET, fault or not, and has no body.
func TestHEADWhereverThereIsGET(t *testing.T) {
	b := newBench(t)
	b.domain.status = otp.Status{Blocking: otp.NotBlocked, State: otp.StateIdle}
	for _, r := range []request{
		{path: api.RouteContract, header: "Authorization:"},
		{path: api.RouteAccount},
		{path: api.RouteAccount, header: "Authorization:"},
		{path: api.RouteAccount, header: "Authorization: Bearer " + fleet},
	} {
		r.method = "GET"
		get := b.send(t, r)
		wanted := b.journal.last(t)
		r.method = "HEAD"
		head := b.send(t, r)
		if head.status != get.status || head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) ||
			head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d %v %q, want the header of %d %v", r.path, head.status, head.header, head.body, get.status, get.header)
		}
		if e := b.journal.last(t); e.Method != http.MethodHead || e.Route != wanted.Route || e.Code != wanted.Code || e.Caller != wanted.Caller {
			t.Errorf("HEAD %s: the event is %+v, want that of a GET: %+v", r.path, e, wanted)
		}
	}
}

// Requests that no Go client sends.
func TestRawRequests(t *testing.T) {
	b := newBench(t)
	const good = "Authorization: Bearer " + aToken + "\r\nContent-Type: application/json\r\nConnection: close\r\nHost: x\r\n"
	for name, tt := range map[string]struct {
		text   string
		status int
		code   string
	}{
		"every path":     {"OPTIONS * HTTP/1.1\r\n" + good + "\r\n", 404, `"code":2002`},
		"a tunnel":       {"CONNECT example.org:443 HTTP/1.1\r\n" + good + "\r\n", 404, `"code":2002`},
		"a whole URL":    {"GET http://example.org/ HTTP/1.1\r\n" + good + "\r\n", 404, `"code":2002`},
		"no length":      {"POST " + api.RouteOTP + " HTTP/1.1\r\n" + good + "\r\n", 400, "Invalid body parameter"},
		"HTTP/1.0":       {"POST " + api.RouteOTP + " HTTP/1.0\r\n" + good + "Content-Length: 37\r\n\r\n" + aBody, 200, anOTP},
		"chunks":         {"POST " + api.RouteOTP + " HTTP/1.1\r\n" + good + "Transfer-Encoding: chunked\r\n\r\n25\r\n" + aBody + "\r\n0\r\n\r\n", 200, anOTP},
		"broken chunks":  {"POST " + api.RouteOTP + " HTTP/1.1\r\n" + good + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + aBody + "\r\n0\r\n\r\n", 400, "Invalid body parameter"},
		"endless chunks": {"POST " + api.RouteOTP + " HTTP/1.1\r\n" + good + "Transfer-Encoding: chunked\r\n\r\n5000\r\n" + padded(0x5000) + "\r\n0\r\n\r\n", 413, "Invalid body parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.text); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			reply{header: resp.Header}.checkHeader(t)
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.code) {
				t.Errorf("got %d %s, want %d with %s", resp.StatusCode, body, tt.status, tt.code)
			}
		})
	}
}
