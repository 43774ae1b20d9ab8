package inwebo

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner reads one document from its source, liberally: it skips what no reader of the fields needs, such as
// declarations, comments, attributes, namespaces, and text outside of the elements. It is strict where a document could
// be read in two ways or without end: elements must match, and a document type is refused.
type scanner struct {
	source
	at   int        // the next byte of text
	open []textSpan // the names of the elements that are open, with their prefixes
	doc  document
}

// room is enough for most answers, so that reading one allocates little. It has no pointers in it, and so it is cheap.
type room struct {
	body, text, buffer [1 << 10]byte
	open               [4]textSpan
	children           [32]child
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
	ok := true
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

// startTag reads a start tag, or that of an empty element. A "<" that no name follows is text.
func (s *scanner) startTag() (done bool, err error) {
	start := s.at
	if s.at == len(s.text) && !s.more() {
		return false, errEarly
	}
	if !startsName(s.text[s.at]) {
		s.addText([]byte("<"), false)
		s.obscure()
		return false, nil
	}
	empty, ok := s.tagEnd()
	if !ok {
		return false, errEarly
	}
	name := s.nameFrom(start)
	if err := s.opened(name); err != nil {
		return false, err
	}
	s.open = append(s.open, name)
	if empty {
		return s.closed(), nil
	}
	return false, nil
}

func startsName(b byte) bool {
	return b|0x20 >= 'a' && b|0x20 <= 'z' || b == '_' || b == ':' || b >= utf8.RuneSelf
}

// tagEnd goes past the ">" that ends a tag, which may have others in the quotes of its attributes. empty reports whether
// the tag is that of an empty element.
func (s *scanner) tagEnd() (empty, ok bool) {
	var quote byte
	for before := byte(0); ; s.at++ {
		if s.at == len(s.text) && !s.more() {
			return false, false
		}
		b := s.text[s.at]
		switch {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '>':
			s.at++
			return before == '/', true
		case (b == '"' || b == '\'') && before == '=':
			quote = b
		}
		if !isBlank(b) {
			before = b
		}
	}
}

// nameFrom returns the name that starts there.
func (s *scanner) nameFrom(start int) textSpan {
	end := start
	for !isBlank(s.text[end]) && !strings.ContainsRune("/>=\"'<&", rune(s.text[end])) {
		end++
	}
	return textSpan{start, end}
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// opened notes the start of an element.
func (s *scanner) opened(name textSpan) error {
	local := localName(s.text[name.start:name.end])
	switch len(s.open) {
	case 0:
		if s.doc.root = knownRoot(local); s.doc.root == "" {
			return errForeignXML
		}
	case 1:
		s.doc.startChild(local)
	default:
		s.obscure()
	}
	if s.doc.elements++; s.doc.elements > maxElements+1 { // the root is none of them
		return errElements
	}
	return nil
}

// localName returns a name without its namespace prefix.
func localName(name []byte) []byte {
	if colon := bytes.LastIndexByte(name, ':'); colon < len(name)-1 {
		return name[colon+1:]
	}
	return name
}

// endTag reads an end tag, which must be that of the innermost open element.
func (s *scanner) endTag() (done bool, err error) {
	name, ok := s.until(">")
	if !ok {
		return false, errEarly
	}
	last := len(s.open) - 1
	if last < 0 || !bytes.Equal(bytes.TrimSpace(name), s.text[s.open[last].start:s.open[last].end]) {
		return false, errMismatch
	}
	return s.closed(), nil
}

// closed notes the end of the innermost element. It reports true when that was the root.
func (s *scanner) closed() (done bool) {
	s.open = s.open[:len(s.open)-1]
	if len(s.open) == 1 {
		s.doc.endChild()
	}
	return len(s.open) == 0
}

// addText adds to the text of a direct child of the root. Other text is ignored.
func (s *scanner) addText(chars []byte, references bool) {
	if len(s.open) != 2 {
		return
	}
	for references {
		start := bytes.IndexByte(chars, '&')
		if start < 0 {
			break
		}
		s.doc.buffer = append(s.doc.buffer, chars[:start]...)
		chars = chars[start:]
		meaning, size := reference(chars)
		if size == 0 {
			meaning, size = "&", 1
			s.obscure()
		}
		s.doc.buffer, chars = append(s.doc.buffer, meaning...), chars[size:]
	}
	s.doc.buffer = append(s.doc.buffer, chars...)
}

// obscure notes that the text of the direct child that is open cannot be relied upon.
func (s *scanner) obscure() {
	if len(s.open) >= 2 {
		s.doc.children[len(s.doc.children)-1].obscure = true
	}
}

// reference returns what the reference means with which text begins, and its length; 0 when it is none that is known.
func reference(text []byte) (meaning string, size int) {
	const longest = len("&#x0010FFFF;")
	end := bytes.IndexByte(text[:min(len(text), longest)], ';')
	if end < 0 {
		return "", 0
	}
	name := string(text[1:end])
	switch name {
	case "lt":
		meaning = "<"
	case "gt":
		meaning = ">"
	case "amp":
		meaning = "&"
	case "apos":
		meaning = "'"
	case "quot":
		meaning = `"`
	default:
		number, isNumber := strings.CutPrefix(name, "#")
		base := 10
		if digits, isHex := strings.CutPrefix(number, "x"); isHex {
			number, base = digits, 16
		}
		r, err := strconv.ParseUint(number, base, 21)
		if !isNumber || err != nil || !utf8.ValidRune(rune(r)) {
			return "", 0
		}
		meaning = string(rune(r))
	}
	return meaning, end + 1
}
