package inwebo

import (
	"net/url"
	"strings"
)

// query is the parameters of a request as they go out, form-encoded, in the order in which they were set; inWebo minds
// none (inwebo-protocol.md §1).
type query struct{ text strings.Builder }

// queryBytes is more than the query of an OTP has.
const queryBytes = 512

// Set adds a parameter. Each is set once.
func (q *query) Set(name, value string) {
	if q.text.Len() == 0 {
		q.text.Grow(queryBytes)
	} else {
		q.text.WriteByte('&')
	}
	q.text.WriteString(name) // ours, and without anything to escape
	q.text.WriteByte('=')
	q.text.WriteString(url.QueryEscape(value))
}

// query has the parameters common to all requests of the mode.
func (c *Client) query(action, mode string, who Identity) *query {
	q := &query{}
	q.Set("action", action)
	q.Set("mode", mode)
	q.Set("id", who.ID)
	q.Set("lastsync", who.LastSync)
	q.Set("macid", c.config.MacID)
	if mode != modeMS {
		q.Set("version", c.config.Version)
	}
	return q
}
