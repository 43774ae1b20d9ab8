package inwebosim

import (
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Exchange is one request and what became of it. It holds secrets: this is a tool for tests.
type Exchange struct {
	// Number counts the requests from 1, in the order of their arrival.
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	Path   string    `json:"path"`
	Action string    `json:"action"`
	Mode   string    `json:"mode"`
	ID     string    `json:"id"`
	// Params and Header are the request as it came; treat them as read-only.
	Params url.Values  `json:"params"`
	Header http.Header `json:"header"`
	// Conn is the client's end of the connection: the same for requests that shared one.
	Conn string `json:"conn"`
	// Fault is what befell the request, empty for nothing.
	Fault Kind `json:"fault,omitempty"`
	// Outcome is the err text, or "HTTP 500"; empty while under way and when nothing was decided.
	Outcome string `json:"outcome"`
	// Processed says that the request took effect as far as Outcome allows; Answered that a complete
	// HTTP answer was sent, spoilt or not; in an odd form a complete document, however its HTTP answer ends.
	Processed bool `json:"processed"`
	Answered  bool `json:"answered"`
}

// history remembers the newest requests.
type history struct {
	limit  int // negative: none
	mu     sync.Mutex
	last   uint64
	recent []*Exchange
}

// begin numbers and remembers a request. From then on the exchange is changed through finish alone.
func (h *history) begin(x *Exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	x.Number = h.last
	if h.limit < 0 {
		return
	}
	if len(h.recent) >= h.limit {
		h.recent[0] = nil
		h.recent = h.recent[1:]
	}
	h.recent = append(h.recent, x)
}

// finish notes the end. It is called before the answer leaves, so that a client that has its answer
// finds the exchange complete.
func (h *history) finish(x *Exchange, outcome string, processed, answered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x.Outcome, x.Processed, x.Answered = outcome, processed, answered
}

// list copies the exchanges that match and have a number above after.
func (h *history) list(m Match, after uint64) []Exchange {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Exchange{}
	for _, x := range h.recent {
		if x.Number > after && m.fits(x) {
			list = append(list, *x)
		}
	}
	return list
}
