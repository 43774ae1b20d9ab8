package inwebo

import "net/url"

// query is a request up to the end of its parameters, form-encoded, in the order in which they were set. inWebo accepts any
// order (docs/protocol.md §1).
type query struct {
	text []byte
	some bool // there is a parameter
}

// requestBytes is more than the request of an OTP has.
const requestBytes = 768

// Set adds a parameter. Each is set once.
func (q *query) Set(name, value string) {
	if q.some {
		q.text = append(q.text, '&')
	}
	q.some = true
	q.text = append(append(q.text, name...), '=') // a name of ours, without anything to escape
	q.text = append(q.text, url.QueryEscape(value)...)
}

// request is the whole request with those parameters: a GET without a body.
func (c *Client) request(q *query) []byte { return append(q.text, c.tail...) }

// query has the parameters common to all requests of the mode.
func (c *Client) query(action, mode string, who Identity) *query {
	q := &query{text: append(make([]byte, 0, requestBytes), c.head...)}
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
