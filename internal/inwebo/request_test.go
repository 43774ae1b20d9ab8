package inwebo_test

import "testing"

// A request is a GET without a body, with the headers that a device sends (docs/protocol.md §1).
func TestTheRequestIsBare(t *testing.T) {
	const want = "GET /iwws/c4n4ry?a=%26+%C3%A9&b= HTTP/1.1\r\nHost: 127.0.0.1:9\r\nUser-Agent: c4n4ry-agent\r\nConnection: Keep-Alive\r\n\r\n"
	if got := string(newClient(t, target(t, "http://127.0.0.1:9")).Request("a", "& é", "b", "")); got != want {
		t.Errorf("sent %q; want %q", got, want)
	}
}
