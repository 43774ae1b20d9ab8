package inwebo

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// addText adds to the text of a direct child of the root. Other text is ignored.
func (s *scanner) addText(chars []byte, references bool) {
	s.outline.addText(chars)
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
