package inwebo

import (
	"errors"
	"io"
)

// source is the text of an answer, decoded while it arrives, so that nothing waits for what follows the document.
type source struct {
	from io.Reader
	body []byte // what has arrived, at most maxAnswerBytes
	text []byte // the part of it that is decoded, as UTF-8
	err  error  // why no more arrives: io.EOF, errTooLong, or a fault of the connection

	encoding encoding
	sniffed  bool
	decoded  int // bytes of body that are in text
}

var errTooLong = errors.New("it is longer than 64 KiB")

// more waits for more text. It reports false when there is none, and s.err says why.
func (s *source) more() bool {
	for had := len(s.text); len(s.text) == had; {
		if s.err != nil {
			return false
		}
		s.read()
		s.decode()
	}
	return true
}

// read reads what the body has next, once.
func (s *source) read() {
	if len(s.body) == cap(s.body) {
		s.body = append(s.body, 0)[:len(s.body)]
	}
	n, err := s.from.Read(s.body[len(s.body):cap(s.body)])
	s.body = s.body[:len(s.body)+n]
	switch {
	case len(s.body) > maxAnswerBytes:
		s.body, s.err = s.body[:maxAnswerBytes], errTooLong
	case err != nil:
		s.err = err
	}
}

// decode decodes what has been read.
func (s *source) decode() {
	last := s.err != nil
	if !s.sniffed {
		if s.encoding, s.sniffed = sniff(s.body); !s.sniffed && !last {
			return
		}
	}
	var n int
	s.text, n = s.encoding.decode(s.text, s.body[s.decoded:], last)
	s.decoded += n
}

// drain reads the rest.
func (s *source) drain() {
	for s.more() {
	}
}
