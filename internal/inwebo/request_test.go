package inwebo_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowEnd is an empty body whose reader gets no processor for a second.
type slowEnd struct{}

func (slowEnd) Read([]byte) (int, error) {
	time.Sleep(time.Second)
	return 0, io.EOF
}

// The request is bare however slowly its empty body is read: net/http gives up on finding a body empty after 200 ms, and
// would send it chunked.
func TestTheRequestIsBare(t *testing.T) {
	const want = "GET /iwws/c4n4ry?a=%26+%C3%A9&b= HTTP/1.1\r\nHost: 127.0.0.1:9\r\nUser-Agent: c4n4ry-agent\r\nConnection: Keep-Alive\r\n\r\n"
	synctest.Test(t, func(t *testing.T) {
		request := newClient(t, target(t, "http://127.0.0.1:9")).Request(t, "a", "& é", "b", "")
		request.Body = io.NopCloser(slowEnd{})
		var sent strings.Builder
		if err := request.Write(&sent); err != nil || sent.String() != want {
			t.Errorf("sent %q, %v; want %q", sent.String(), err, want)
		}
	})
}
