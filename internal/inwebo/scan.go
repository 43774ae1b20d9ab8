package inwebo

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// scanner reads one document from its source, liberally: it skips what no reader of the fields needs, such as
// declarations, comments, attributes, namespaces, and text outside of the elements. It is strict where a document could
// be read in two ways or without end: elements must match, and a document type is refused.
type scanner struct {
	source
	at   int        // the next byte of text
	open []textSpan // the names of the elements that are open, with their prefixes
	doc  document

	outline *outline // when set, it notes the shape of the document
}

// room is enough for the answers to an OTP, so that reading one allocates little. It has no pointers in it, and so it is cheap.
type room struct {
	body, text [320]byte
	buffer     [256]byte
	open       [4]textSpan
	children   [12]child
}

func newScanner(from io.Reader) *scanner {
	r := new(room)
	return &scanner{
		source: source{from: from, body: r.body[:0], text: r.text[:0]},
		open:   r.open[:0],
		doc:    document{buffer: r.buffer[:0], children: r.children[:0]},
	}
}

// textSpan is a part of the text; the text grows, and keeps what it has.
type textSpan struct{ start, end int }

// maxElements bounds the elements of an answer; the largest answer seen has about thirty.
const maxElements = 1024

var (
	errEarly      = errors.New("it ends too early")
	errDirective  = errors.New("it carries a document type or another directive")
	errMismatch   = errors.New("its elements do not match")
	errElements   = errors.New("it has more than 1024 elements")
	errForeignXML = errors.New("its root is not the expected one")
)

// scan reads the document up to the end of its root. On an error, s.doc is what came before it.
func (s *scanner) scan() error {
	for {
		chars, ok := s.until("<")
		if !ok {
			return errEarly
		}
		s.addText(chars, true)
		done, err := s.markup()
		if done || err != nil {
			return err
		}
	}
}

// until returns the text up to the next mark, and goes past the mark. It reports false when there is no such mark.
func (s *scanner) until(mark string) (_ []byte, ok bool) {
	for searched := s.at; ; {
		if n := bytes.Index(s.text[searched:], []byte(mark)); n >= 0 {
			found := s.text[s.at : searched+n]
			s.at = searched + n + len(mark)
			return found, true
		}
		searched = max(s.at, len(s.text)-len(mark)+1)
		if !s.more() {
			return nil, false
		}
	}
}

// skip goes past mark if the text goes on with it.
func (s *scanner) skip(mark string) bool {
	for len(s.text)-s.at < len(mark) {
		if !strings.HasPrefix(mark, string(s.text[s.at:])) || !s.more() {
			return false
		}
	}
	if !bytes.HasPrefix(s.text[s.at:], []byte(mark)) {
		return false
	}
	s.at += len(mark)
	return true
}

// markup reads what follows a "<". It reports true at the end of the root.
func (s *scanner) markup() (done bool, err error) {
	var ok bool
	switch {
	case s.skip("/"):
		return s.endTag()
	case s.skip("?"):
		_, ok = s.until("?>")
	case s.skip("!--"):
		_, ok = s.until("-->")
	case s.skip("![CDATA["):
		var chars []byte
		chars, ok = s.until("]]>")
		s.addText(chars, false)
	case s.skip("!"):
		return false, errDirective
	default:
		return s.startTag()
	}
	if !ok {
		return false, errEarly
	}
	return false, nil
}
