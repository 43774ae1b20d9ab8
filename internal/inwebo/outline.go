package inwebo

import "bytes"

// Element is the shape of an element: what a person needs to know of how the server writes it, and no value.
type Element struct {
	Name       string `json:"name"`
	Depth      int    `json:"depth"` // 1: the root
	Attributes int    `json:"attributes,omitempty"`
	Length     int    `json:"length"`                  // bytes of its own text, as UTF-8, without the blanks around it
	Class      string `json:"class,omitempty"`         // of the characters of that text; empty when there are none
	Before     int    `json:"blanks_before,omitempty"` // bytes of blanks before the text
	After      int    `json:"blanks_after,omitempty"`
}

// outline notes the elements of a document while it is scanned. On a nil outline, nothing is noted.
type outline struct {
	elements   []Element
	open       []openElement
	attributes int // of the tag that is being read
	more       int // elements that were not noted
	root       int // where the root begins in the text; -1 when there is none
}

type openElement struct {
	index int // among the elements; -1 when it is not noted
	text  []byte
}

// maxOutlined bounds the elements of an outline; the largest answer seen has about thirty.
const maxOutlined = 200

// outlineOf returns the outline of a body, as far as it can be read.
func outlineOf(body []byte) *outline {
	s := newScanner(bytes.NewReader(body))
	s.outline = &outline{root: -1}
	_ = s.scan() // what it could not read is not in the outline
	for len(s.outline.open) > 0 {
		s.outline.end()
	}
	return s.outline
}

func (o *outline) attribute() {
	if o != nil {
		o.attributes++
	}
}

// start notes an element whose tag begins at that place of the text.
func (o *outline) start(name []byte, depth, at int) {
	if o == nil {
		return
	}
	if depth == 1 {
		o.root = at
	}
	opened := openElement{index: -1}
	if len(o.elements) < maxOutlined {
		opened.index = len(o.elements)
		o.elements = append(o.elements, Element{Name: showName(string(name)), Depth: depth, Attributes: o.attributes})
	} else {
		o.more++
	}
	o.attributes = 0
	o.open = append(o.open, opened)
}

func (o *outline) addText(chars []byte) {
	if o != nil && len(o.open) > 0 {
		last := &o.open[len(o.open)-1]
		last.text = append(last.text, chars...)
	}
}

func (o *outline) end() {
	if o == nil {
		return
	}
	last := o.open[len(o.open)-1]
	o.open = o.open[:len(o.open)-1]
	if last.index < 0 {
		return
	}
	e, text := &o.elements[last.index], bytes.TrimSpace(last.text)
	e.Length, e.Class = len(text), classOf(string(text))
	e.Before = len(last.text) - len(bytes.TrimLeft(last.text, " \t\r\n\u00a0"))
	e.After = len(last.text) - len(text) - e.Before
}
