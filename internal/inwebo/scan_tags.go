package inwebo

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

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
	s.outline.start(s.text[name.start:name.end], len(s.open), start-1)
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
		case b == '=':
			s.outline.attribute()
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
	s.outline.end()
	if len(s.open) == 1 {
		s.doc.endChild()
	}
	return len(s.open) == 0
}
