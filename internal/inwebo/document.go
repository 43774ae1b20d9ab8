package inwebo

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// document is an answer: a root, and one level of children with text (inwebo-protocol.md §1).
type document struct {
	root     string
	children []child // in their order; only those that are lists have names that repeat
}

type child struct{ name, text string }

// maxChildren bounds the children of an answer; the largest answer seen has about twenty.
const maxChildren = 1024

// add takes the next child.
func (d *document) add(name, text string) error {
	if len(d.children) == maxChildren {
		return errors.New("it has more than 1024 elements")
	}
	if !isList(name) && d.has(name) {
		return errors.New("an element that is no list stands twice")
	}
	d.children = append(d.children, child{name, text})
	return nil
}

func (d *document) has(name string) bool {
	return slices.ContainsFunc(d.children, func(c child) bool { return c.name == name })
}

// Roots of the two kinds of answer.
const (
	rootSetup    = "ActionSetup"
	rootFinalize = "ActionFinalize"
)

// isList tells the names that may repeat: services, ms entries and messages, but not their counts.
func isList(name string) bool {
	if strings.HasSuffix(name, "_n") {
		return false
	}
	return strings.HasPrefix(name, "s_") || strings.HasPrefix(name, "ms_") || strings.HasPrefix(name, "m_")
}

// parseDocument reads an answer strictly. Its errors quote nothing of the answer.
func parseDocument(text []byte) (*document, error) {
	if len(text) > maxAnswerBytes {
		return nil, errors.New("it is longer than 64 KiB")
	}
	if d, ok := parsePlain(string(text)); ok {
		return d, nil
	}
	return parseTokens(text)
}

// parseTokens reads every document that there can be.
func parseTokens(text []byte) (*document, error) {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	d := &documentReader{}
	for {
		start := decoder.InputOffset()
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			return d.finish()
		}
		if err != nil {
			return nil, errors.New("it is not well-formed XML")
		}
		if err := d.take(token, start); err != nil {
			return nil, err
		}
	}
}

// documentReader is the state between two tokens.
type documentReader struct {
	document
	open []string
	text strings.Builder
}

// take reads one token, which begins at the byte start.
func (d *documentReader) take(token xml.Token, start int64) error {
	switch token := token.(type) {
	case xml.StartElement:
		return d.start(token)
	case xml.EndElement:
		return d.end(token)
	case xml.CharData:
		return d.chars(token)
	case xml.Directive:
		return errors.New("it carries a document type or another directive")
	case xml.ProcInst:
		if token.Target != "xml" || start > 0 {
			return errors.New("it carries a processing instruction")
		}
	}
	return nil // comments say nothing
}

func (d *documentReader) start(element xml.StartElement) error {
	if element.Name.Space != "" || len(element.Attr) > 0 {
		return errors.New("an element has a namespace or attributes")
	}
	switch len(d.open) {
	case 0:
		if d.root != "" {
			return errors.New("it has more than one root")
		}
		if d.root = element.Name.Local; d.root != rootSetup && d.root != rootFinalize {
			return errForeignRoot
		}
	case 1:
		d.text.Reset()
	default:
		return errors.New("its elements are nested")
	}
	d.open = append(d.open, element.Name.Local)
	return nil
}

func (d *documentReader) end(element xml.EndElement) error {
	last := len(d.open) - 1
	if last < 0 || element.Name.Space != "" || d.open[last] != element.Name.Local {
		return errors.New("its elements do not match")
	}
	d.open = d.open[:last]
	if last == 0 {
		return nil
	}
	return d.add(element.Name.Local, d.text.String())
}

func (d *documentReader) chars(text []byte) error {
	if len(d.open) == 2 {
		d.text.Write(text)
		return nil
	}
	if len(bytes.TrimSpace(text)) > 0 {
		return errors.New("there is text between its elements")
	}
	return nil
}

func (d *documentReader) finish() (*document, error) {
	if d.root == "" || len(d.open) > 0 {
		return nil, errors.New("it ends too early")
	}
	return &d.document, nil
}

var errForeignRoot = errors.New("its root is not the expected one")

// text gives the text of a child, empty when it is absent.
func (d *document) text(name string) string {
	for _, c := range d.children {
		if c.name == name {
			return c.text
		}
	}
	return ""
}

// list gives the n values of a child that repeats, where n is the number that the answer says there are. When it says
// none, an empty element is none.
func (d *document) list(name string, n int) ([]string, error) {
	values := d.all(name)
	if n == 0 && strings.Join(values, "") == "" {
		return nil, nil
	}
	if len(values) == n {
		return values, nil
	}
	return nil, fmt.Errorf("the number of %s does not fit", name)
}

func (d *document) all(name string) (values []string) {
	for _, c := range d.children {
		if c.name == name {
			values = append(values, c.text)
		}
	}
	return values
}

// maxListed bounds the lists of an answer; more services on one device have not been heard of.
const maxListed = 64

// count reads a number of list entries, such as s_n; none says that the child is absent or empty.
func (d *document) count(name string) (n int, none bool, err error) {
	text := d.text(name)
	if text == "" {
		return 0, true, nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n < 0 || n > maxListed {
		return 0, false, fmt.Errorf("%s is no number from 0 to %d", name, maxListed)
	}
	return n, false, nil
}
