package inwebo

import "strings"

// declaration is what an answer begins with.
const declaration = `<?xml version="1.0" encoding="UTF-8"?>`

// usualChildren is more than most answers have.
const usualChildren = 16

// parsePlain reads an answer as it nearly always is: the declaration, a known root, and in it elements of letters, digits
// and _ with ASCII text that needs no second look. Of any other it says so, and parseDocument reads it token by token. What
// both read is the same.
func parsePlain(text string) (_ *document, ok bool) {
	text, ok = strings.CutPrefix(text, declaration)
	if !ok {
		return nil, false
	}
	root, text, ok := cutTag(text, "<")
	if !ok || root != rootSetup && root != rootFinalize {
		return nil, false
	}
	d := &document{root, make([]child, 0, usualChildren)}
	for !strings.HasPrefix(text, "</") {
		var name, end string
		if name, text, ok = cutTag(text, "<"); !ok {
			return nil, false
		}
		length := strings.IndexByte(text, '<')
		if length < 0 || strings.ContainsFunc(text[:length], needsSecondLook) || d.add(name, text[:length]) != nil {
			return nil, false
		}
		if end, text, ok = cutTag(text[length:], "</"); !ok || end != name {
			return nil, false
		}
	}
	end, text, ok := cutTag(text, "</")
	return d, ok && end == root && text == ""
}

// cutTag cuts a tag off the front that has nothing but a name in it.
func cutTag(text, open string) (name, rest string, ok bool) {
	rest, ok = strings.CutPrefix(text, open)
	length := strings.IndexByte(rest, '>')
	if !ok || length < 1 || !isLetter(rest[0]) {
		return "", "", false
	}
	for _, b := range []byte(rest[:length]) {
		if !isLetter(b) && b != '_' && (b < '0' || b > '9') {
			return "", "", false
		}
	}
	return rest[:length], rest[length+1:], true
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// needsSecondLook tells the characters that XML has rules for, and those that are no ASCII.
func needsSecondLook(r rune) bool { return r < ' ' || r > '~' || r == '&' || r == ']' || r == '>' }
