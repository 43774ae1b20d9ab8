package inwebosim

import (
	"math/rand/v2"
	"strings"
)

// Field is one element of an answer: a name and its text.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// answer is an answer before it becomes XML: the root's name, then the children in order.
type answer struct {
	root   string
	fields []Field
}

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`

// refuse is an answer that carries nothing but err.
func refuse(root, err string) answer { return answer{root, []Field{{"err", err}}} }

// get is the text of the first element of that name, empty when there is none.
func (a answer) get(name string) string {
	for _, f := range a.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// has reports whether an element of that name is there, empty or not.
func (a answer) has(name string) bool {
	for _, f := range a.fields {
		if f.Name == name {
			return true
		}
	}
	return false
}

// document is the answer as XML.
func (a answer) document() []byte {
	doc := make([]byte, 0, 256+2*len(a.get("Kiw"))+2*len(a.get("ms_key")))
	doc = append(doc, xmlDeclaration...)
	doc = appendTag(doc, "<", a.root)
	for _, f := range a.fields {
		doc = appendTag(doc, "<", f.Name)
		doc = append(doc, escape(f.Value)...)
		doc = appendTag(doc, "</", f.Name)
	}
	return appendTag(doc, "</", a.root)
}

func appendTag(doc []byte, open, name string) []byte {
	return append(append(append(doc, open...), name...), '>')
}

// escape makes text safe between tags. Most texts are hex and numbers and come back untouched.
func escape(text string) string {
	if !strings.ContainsAny(text, `&<>"'`) {
		return text
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(text)
}

// shuffle puts the elements in random order; those of one name, the members of a list, keep theirs.
func (a answer) shuffle(rng *rand.PCG) {
	shuffled := a.fields
	ordered := append(make([]Field, 0, 32), shuffled...)
	for i := len(shuffled) - 1; i > 0; i-- {
		j := int(rng.Uint64() % uint64(i+1))
		shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
	}
	for i := range shuffled {
		next := indexOf(ordered, shuffled[i].Name)
		shuffled[i] = ordered[next]
		ordered[next].Name = "" // taken
	}
}

func indexOf(fields []Field, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}
