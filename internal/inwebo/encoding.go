package inwebo

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is how the characters of an answer are written as bytes.
type encoding int

const (
	// utf8Or1252 is UTF-8, in which every byte that does not belong to UTF-8 counts as windows-1252: no byte costs an
	// answer, whatever its declaration says. US-ASCII is part of it.
	utf8Or1252 encoding = iota
	// windows1252 is also used for ISO-8859-1, from which it differs in control characters only.
	windows1252
	utf16LE
	utf16BE
)

// String returns the name of the encoding.
func (e encoding) String() string {
	switch e {
	case utf16LE:
		return "UTF-16LE"
	case utf16BE:
		return "UTF-16BE"
	case windows1252:
		return "windows-1252"
	default:
		return "UTF-8"
	}
}

// declarationPattern finds the encoding that an XML declaration names.
var declarationPattern = regexp.MustCompile(`^<\?xml\s[^>]*?encoding\s*=\s*["']?\s*([A-Za-z0-9._:-]+)`)

// sniff returns the encoding of an answer that begins with head. It reports false when more of the answer is needed to
// know it. Only UTF-16 is certain from the bytes themselves; a declaration of it in an answer of single bytes is wrong.
func sniff(head []byte) (_ encoding, ok bool) {
	if len(head) < 2 {
		return utf8Or1252, false
	}
	switch first, second := head[0], head[1]; {
	case first == 0xff && second == 0xfe, first != 0 && second == 0:
		return utf16LE, true
	case first == 0xfe && second == 0xff, first == 0 && second != 0:
		return utf16BE, true
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
	if end := bytes.IndexByte(head, '>'); end >= 0 {
		return declared(head[:end]), true
	}
	return utf8Or1252, false
}

// declared returns the encoding that an XML declaration names, and utf8Or1252 when there is no declaration, or it names an
// unknown encoding.
func declared(declaration []byte) encoding {
	if !bytes.HasPrefix(declaration, []byte("<?xml")) || bytes.HasSuffix(declaration, usualDeclarationEnd) {
		return utf8Or1252
	}
	if found := declarationPattern.FindSubmatch(declaration); found != nil {
		switch strings.ToLower(string(found[1])) {
		case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "windows-1252", "cp1252", "cp-1252":
			return windows1252
		}
	}
	return utf8Or1252
}

// usualDeclarationEnd is how a declaration ends that names UTF-8 in the usual way.
var usualDeclarationEnd = []byte(`encoding="UTF-8"?`) //nolint:gochecknoglobals // nothing changes it

// decode appends to text what it can decode of in, and returns how many bytes those were. It keeps back the bytes of an
// incomplete character unless last says that no byte follows.
func (e encoding) decode(text, in []byte, last bool) (_ []byte, n int) {
	switch e {
	case utf16LE, utf16BE:
		return e.decode16(text, in, last)
	case windows1252:
		for _, b := range in {
			text = utf8.AppendRune(text, runeOf1252(b))
		}
		return text, len(in)
	default:
		return decode8(text, in, last)
	}
}

func decode8(text, in []byte, last bool) (_ []byte, n int) {
	for n < len(in) {
		if in[n] < utf8.RuneSelf {
			end := n + 1
			for end < len(in) && in[end] < utf8.RuneSelf {
				end++
			}
			text, n = append(text, in[n:end]...), end
			continue
		}
		if !last && !utf8.FullRune(in[n:]) {
			return text, n
		}
		r, size := utf8.DecodeRune(in[n:])
		if r == utf8.RuneError && size == 1 {
			r = runeOf1252(in[n])
		}
		text, n = utf8.AppendRune(text, r), n+size
	}
	return text, n
}

func (e encoding) decode16(text, in []byte, last bool) (_ []byte, n int) {
	unit := func(at int) rune {
		if e == utf16BE {
			return rune(in[at])<<8 | rune(in[at+1])
		}
		return rune(in[at+1])<<8 | rune(in[at])
	}
	for n+1 < len(in) {
		r, size := unit(n), 2
		if utf16.IsSurrogate(r) {
			if n+3 < len(in) {
				if pair := utf16.DecodeRune(r, unit(n+2)); pair != utf8.RuneError {
					r, size = pair, 4
				}
			} else if !last {
				return text, n
			}
		}
		text, n = utf8.AppendRune(text, r), n+size // half a pair becomes U+FFFD
	}
	return text, n
}

// first1252 are the characters of windows-1252 from 0x80 to 0x9f, its only difference from ISO-8859-1. The five bytes
// without one keep their own value.
var first1252 = [...]rune{ //nolint:gochecknoglobals // a table that nothing changes
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

func runeOf1252(b byte) rune {
	if b >= 0x80 && b < 0x80+byte(len(first1252)) {
		return first1252[b-0x80]
	}
	return rune(b)
}
