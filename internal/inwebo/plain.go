package inwebo

import (
	"bytes"
	"slices"
)

// declaration is what an answer begins with.
const declaration = `<?xml version="1.0" encoding="UTF-8"?>`

// parsePlain reads an answer as it nearly always is: the declaration, a known root, and in it elements of letters, digits
// and _ with ASCII text that needs no second look. Of any other it says so, and parseDocument reads it token by token. What
// both read is the same.
func parsePlain(text []byte) (_ *document, ok bool) {
	text, ok = bytes.CutPrefix(text, []byte(declaration))
	if !ok {
		return nil, false
	}
	root, text, ok := cutTag(text, "<")
	if !ok || root != rootSetup && root != rootFinalize {
		return nil, false
	}
	d := &document{root, make(map[string][]string, 16)}
	for !bytes.HasPrefix(text, []byte("</")) {
		var name, end string
		if name, text, ok = cutTag(text, "<"); !ok {
			return nil, false
		}
		length := bytes.IndexByte(text, '<')
		if length < 0 || slices.ContainsFunc(text[:length], needsSecondLook) || len(d.fields[name]) > 0 && !isList(name) {
			return nil, false
		}
		value := string(text[:length])
		if end, text, ok = cutTag(text[length:], "</"); !ok || end != name {
			return nil, false
		}
		d.fields[name] = append(d.fields[name], value)
	}
	end, text, ok := cutTag(text, "</")
	return d, ok && end == root && len(text) == 0
}

// cutTag cuts a tag off the front that has nothing but a name in it.
func cutTag(text []byte, open string) (name string, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(text, []byte(open))
	length := bytes.IndexByte(rest, '>')
	if !ok || length < 1 || !isLetter(rest[0]) {
		return "", nil, false
	}
	for _, b := range rest[:length] {
		if !isLetter(b) && b != '_' && (b < '0' || b > '9') {
			return "", nil, false
		}
	}
	return string(rest[:length]), rest[length+1:], true
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// needsSecondLook tells the bytes that XML has rules for, or UTF-8.
func needsSecondLook(b byte) bool { return b < ' ' || b > '~' || b == '&' || b == ']' || b == '>' }
