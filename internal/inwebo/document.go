package inwebo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Roots of the two kinds of answer.
const (
	rootSetup    = "ActionSetup"
	rootFinalize = "ActionFinalize"
)

// knownRoot returns the root of that name, and nothing when it is not one of the two.
func knownRoot(name []byte) string {
	switch string(name) {
	case rootSetup:
		return rootSetup
	case rootFinalize:
		return rootFinalize
	default:
		return ""
	}
}

// document is an answer: a root, and its direct children with their texts, in their order (docs/protocol.md §1).
type document struct {
	root     string // empty while it has not been seen
	children []child
	texts    string // the names and texts of the children, one after the other

	buffer   []byte // texts, while they are read
	elements int    // of any depth
}

// child is a direct child of the root, as parts of the texts of the document: its name up to middle, and from there its
// text, without the blanks around it.
type child struct {
	start, middle, end int32
	// obscure reports that the text cannot be relied upon: the child has elements of its own, which are ignored, or
	// something that XML does not allow.
	obscure bool
}

func (d *document) nameOf(c child) string { return d.texts[c.start:c.middle] }

func (d *document) textOf(c child) string { return strings.TrimSpace(d.texts[c.middle:c.end]) }

// readDocument reads one document from body. It reads no further than the end of its root. The source has the body as far
// as it was read. Errors quote nothing of the answer; the document is then what came before the fault.
func readDocument(body io.Reader) (*document, *source, error) {
	s := newScanner(body)
	err := s.scan()
	if errors.Is(err, errEarly) && errors.Is(s.err, errTooLong) {
		err = errTooLong
	}
	s.doc.seal()
	return &s.doc, &s.source, err
}

// startChild begins a child of that name.
func (d *document) startChild(name []byte) {
	start := len(d.buffer)
	d.buffer = append(d.buffer, name...)
	d.children = append(d.children, child{start: int32(start), middle: int32(len(d.buffer)), end: -1})
}

// endChild ends the last child.
func (d *document) endChild() { d.children[len(d.children)-1].end = int32(len(d.buffer)) }

// seal makes one string of the names and texts. It drops a last child that has not ended.
func (d *document) seal() {
	if last := len(d.children) - 1; last >= 0 && d.children[last].end < 0 {
		d.children = d.children[:last]
	}
	d.texts, d.buffer = string(d.buffer), nil
}

// text returns the text of a child that has one value; empty when it is absent. It reports false when the value cannot
// be used: the child repeats with different values, or is obscure.
func (d *document) text(name string) (text string, ok bool) {
	found, ok := false, true
	for _, c := range d.children {
		if d.nameOf(c) != name {
			continue
		}
		before := text
		text = d.textOf(c)
		ok = ok && !c.obscure && (!found || text == before)
		found = true
	}
	if !ok {
		return "", false
	}
	return text, true
}

// textOrNone returns the text of a child that enters no proof: what cannot be used counts as absent.
func (d *document) textOrNone(name string) string {
	text, _ := d.text(name)
	return text
}

// exact returns the text of a child that enters a proof or a request; empty when it is absent. It reports false when it
// cannot be used: text reports false, or it is not printable ASCII without blanks.
func (d *document) exact(name string) (text string, ok bool) {
	if text, ok = d.text(name); !ok || !isExact(text) {
		return "", false
	}
	return text, true
}

// isExact reports whether text is printable ASCII without blanks.
func isExact(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// list returns the texts of a child that repeats. It reports false when one of them is obscure.
func (d *document) list(name string) (texts []string, ok bool) {
	ok = true
	for _, c := range d.children {
		if d.nameOf(c) == name {
			texts, ok = append(texts, d.textOf(c)), ok && !c.obscure
		}
	}
	return texts, ok
}

// maxListed bounds the lists of an answer; more services on one device have not been heard of.
const maxListed = 64

// count returns a number of list entries, such as s_n; none reports that the child is absent or empty.
func (d *document) count(name string) (n int, none bool, err error) {
	text, ok := d.text(name)
	if ok && text == "" {
		return 0, true, nil
	}
	n, err = strconv.Atoi(text)
	if !ok || err != nil || n < 0 || n > maxListed {
		return 0, false, fmt.Errorf("%s is no number from 0 to %d", name, maxListed)
	}
	return n, false, nil
}

// exactList returns the n texts of a list whose entries enter a request, each with something in it. Where there are none,
// an empty element is none.
func (d *document) exactList(name string, n int) ([]string, error) {
	texts, ok := d.list(name)
	if n == 0 && strings.Join(texts, "") == "" {
		return nil, nil
	}
	if len(texts) != n {
		return nil, fmt.Errorf("the number of %s does not fit", name)
	}
	if !ok || slices.ContainsFunc(texts, func(text string) bool { return text == "" || !isExact(text) }) {
		return nil, fmt.Errorf("one of %s cannot be used", name)
	}
	return texts, nil
}

// isWebPage reports whether text is a page for people.
func isWebPage(text []byte) bool {
	start := bytes.ToLower(bytes.TrimSpace(text[:min(len(text), 1024)]))
	return bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.Contains(start, []byte("<html"))
}

// mentions reports whether text has an element of that name, with a namespace prefix or without.
func mentions(text []byte, element string) bool {
	return bytes.Contains(text, []byte("<"+element)) || bytes.Contains(text, []byte(":"+element))
}
