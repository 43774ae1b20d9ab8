package inwebosim

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const contentTypeXML = "text/xml;charset=UTF-8"

// deliver sends the answer in the way of the fault, or does not.
func (s *Simulator) deliver(w http.ResponseWriter, r *http.Request, n *Fault, ans answer) {
	switch n.Kind {
	case KindLostRequest, KindLostAnswer:
		hangUp(w, nil)
	case KindCut:
		raw := wireAnswer(n.body(ans))
		hangUp(w, raw[:position(n.Bytes, len(raw))])
	case KindStatus:
		sendStatus(w, n)
	case KindDrip:
		s.drip(w, n, n.body(ans))
	case KindHTML:
		send(w, "text/html; charset=utf-8", n.body(ans))
	case KindForm:
		s.deliverForm(w, r, n, ans)
	default:
		send(w, contentTypeXML, n.body(ans))
	}
}

// isWhole reports whether a complete HTTP answer is sent, or in an odd form a complete document.
func (n *Fault) isWhole(ans answer) bool {
	switch n.Kind {
	case KindLostRequest, KindLostAnswer:
		return false
	case KindCut:
		raw := wireAnswer(n.body(ans))
		return position(n.Bytes, len(raw)) == len(raw)
	case KindForm:
		return n.form().Reading != ReadingCut && n.form().Reading != ReadingBegun
	default:
		return true
	}
}

func send(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that went away is its own affair
}

func sendStatus(w http.ResponseWriter, n *Fault) {
	if n.Location != "" {
		w.Header().Set("Location", n.Location)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(n.Status)
	_, _ = w.Write([]byte(webPage))
}

func (s *Simulator) drip(w http.ResponseWriter, n *Fault, body []byte) {
	w.Header().Set("Content-Type", contentTypeXML)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	flow := http.NewResponseController(w)
	for len(body) > 0 {
		if !s.wait(n.Interval) {
			panic(http.ErrAbortHandler)
		}
		drop := body[:min(n.Bytes, len(body))]
		body = body[len(drop):]
		if _, err := w.Write(drop); err != nil || flow.Flush() != nil {
			return
		}
	}
}

// wireAnswer is the whole HTTP answer, for cutting at any byte.
func wireAnswer(body []byte) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", contentTypeXML, len(body))
	return bytes.Join([][]byte{[]byte(head), body}, nil)
}

// hangUp sends what is given, which may be nothing, and closes the connection.
func hangUp(w http.ResponseWriter, raw []byte) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	flush(buffer.Writer, raw)
}

func flush(w *bufio.Writer, raw []byte) {
	if _, err := w.Write(raw); err == nil {
		_ = w.Flush()
	}
}

// wait waits, and reports whether the time passed; false says that the simulator stops.
func (s *Simulator) wait(d Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stopping:
		return false
	}
}
