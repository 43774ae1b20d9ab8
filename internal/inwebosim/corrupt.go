package inwebosim

import (
	"bytes"
	"slices"
	"strings"
)

const webPage = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><p>Please sign in to continue.</p></body></html>\n"

// alter changes the answer's fields as the kinds err, synchro-failed, extra and form say.
func (n *Fault) alter(ans answer) answer {
	switch {
	case n.Kind == KindForm:
		return n.form().edited(ans)
	case n.Kind == KindSynchroFailed && ans.get("err") == errOK:
		ans = refuse(ans.root, errSynchroFailed)
	case n.Kind == KindErr:
		ans.fields = slices.DeleteFunc(ans.fields, func(f Field) bool { return f.Name == "err" })
		ans.fields = append([]Field{{"err", n.Err}}, ans.fields...)
	case n.Kind == KindExtra && len(n.Fields) == 0 && len(n.Drop) == 0:
		ans.fields = append(ans.fields, Field{"m_unheardof", "1 < 2 & \"3\""})
	case n.Kind != KindExtra:
		return ans
	}
	ans.fields = slices.DeleteFunc(ans.fields, func(f Field) bool { return slices.Contains(n.Drop, f.Name) })
	ans.fields = append(ans.fields, n.Fields...)
	return ans
}

// body is the HTTP body of the answer, spoilt as the kind says.
func (n *Fault) body(ans answer) []byte {
	doc := ans.document()
	switch n.Kind {
	case KindTruncated:
		at := n.Bytes
		if at == 0 {
			at = len(doc) / 2
		}
		return doc[:position(at, len(doc))]
	case KindOtherRoot:
		return answer{"ActionNothing", ans.fields}.document()
	case KindEntityBomb:
		bombed := append(slices.Clone(ans.fields), Field{"m_text", "BOMB"})
		doc = answer{ans.root, bombed}.document()
		return bytes.Replace(afterDeclaration(doc, bomb(ans.root)), []byte(">BOMB<"), []byte(">&z9;<"), 1)
	case KindEmpty:
		return nil
	case KindHTML:
		return []byte(webPage)
	case KindForm:
		return n.form().body(ans)
	default:
		return doc
	}
}

// wrapped puts an element between the root and its children.
func wrapped(doc []byte, root, open, end string) []byte {
	doc = bytes.Replace(doc, []byte("<"+root+">"), []byte("<"+root+">"+open), 1)
	return bytes.Replace(doc, []byte("</"+root+">"), []byte(end+"</"+root+">"), 1)
}

func afterDeclaration(doc []byte, text string) []byte {
	return slices.Concat([]byte(xmlDeclaration), []byte(text), doc[len(xmlDeclaration):])
}

// bomb declares ten entities, each ten times the one before: 10 GB of text.
func bomb(root string) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE " + root + ` [<!ENTITY z0 "zzzzzzzzzz">`)
	for digit := byte('1'); digit <= '9'; digit++ {
		b.WriteString("<!ENTITY z" + string(digit) + ` "` + strings.Repeat("&z"+string(digit-1)+";", 10) + `">`)
	}
	return b.String() + "]>"
}

// position is a place in something of that length; negative counts from the end.
func position(at, length int) int {
	if at < 0 {
		at += length
	}
	return min(max(at, 0), length)
}
