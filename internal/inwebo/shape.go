package inwebo

import (
	"bytes"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shape is the form of one exchange, for a person who reports what the server sends: it has no value of the exchange.
type Shape struct {
	Exchange Exchange `json:"exchange"`
	Result   string   `json:"result"` // OK, or the error in our own words
	Millis   int64    `json:"ms"`
	// HTTP is nil when no answer began.
	HTTP *HTTPShape `json:"http,omitempty"`
	// Document is nil when no body was read.
	Document *DocumentShape `json:"document,omitempty"`
}

// HTTPShape is the form of an answer as HTTP frames it.
type HTTPShape struct {
	Protocol   string   `json:"protocol"`
	Status     int      `json:"status"`
	Headers    []string `json:"headers"`      // their names
	Type       string   `json:"content_type"` // without its parameters
	Charset    string   `json:"charset,omitempty"`
	Framing    string   `json:"framing"` // "length N", "chunked" or "to the end of the connection"
	Close      bool     `json:"close,omitempty"`
	Ended      bool     `json:"ended"`             // the framing was read to its end
	Surplus    bool     `json:"surplus,omitempty"` // the document went on behind the end of the framing
	Raw        bool     `json:"raw,omitempty"`     // it was read as it arrived, because its head or its chunks are wrong
	Compressed bool     `json:"compressed,omitempty"`
}

// DocumentShape is the form of the body of an answer.
type DocumentShape struct {
	Bytes      int       `json:"bytes"`   // that were read, decompressed
	ReadAs     string    `json:"read_as"` // the encoding
	Mark       bool      `json:"byte_order_mark,omitempty"`
	Before     int       `json:"bytes_before_root"` // of the decoded text: declarations, comments, blanks
	XMLVersion string    `json:"xml_version,omitempty"`
	Declared   string    `json:"declared_encoding,omitempty"`
	Err        string    `json:"err,omitempty"`
	Elements   []Element `json:"elements"`
	More       int       `json:"more_elements,omitempty"`
}

// Sample is an exchange as it was, of which Shape makes a shape. It holds secrets, and prints none.
type Sample struct {
	call *call
	err  error
	took time.Duration
}

// offer hands the exchange to a transcript unless that is busy: nothing waits for it, and making the shape costs the
// exchange nothing.
func (x *call) offer(transcript chan<- *Sample, err error, took time.Duration) {
	select {
	case transcript <- &Sample{x, err, took}:
	default:
	}
}

// String returns the name of the exchange.
func (s *Sample) String() string { return string(s.call.name) }

// GoString returns the same as String, so that no verb prints the exchange.
func (s *Sample) GoString() string { return s.String() }

// Shape returns the shape of the exchange.
func (s *Sample) Shape() Shape {
	shape := Shape{Exchange: s.call.name, Result: "OK", Millis: s.took.Milliseconds()}
	if s.err != nil {
		shape.Result = s.err.Error()
	}
	if s.call.response != nil {
		shape.HTTP = httpShape(s.call.response, s.call.body)
	}
	if s.call.read != nil {
		shape.Document = documentShape(s.call.read)
	}
	return shape
}

func httpShape(response *http.Response, b *body) *HTTPShape {
	shape := &HTTPShape{Protocol: response.Proto, Status: response.StatusCode, Close: response.Close, Headers: []string{}}
	for name := range response.Header {
		shape.Headers = append(shape.Headers, showName(name))
	}
	slices.Sort(shape.Headers)
	media, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err == nil && slices.Contains([]string{"text/xml", "application/xml", "text/html", "text/plain"}, media) {
		shape.Type = media
	} else {
		shape.Type = classOf(response.Header.Get("Content-Type"))
	}
	shape.Charset = showEncoding(parameters["charset"])
	switch {
	case len(response.TransferEncoding) > 0:
		shape.Framing = "chunked"
	case response.ContentLength >= 0:
		shape.Framing = "length " + strconv.FormatInt(response.ContentLength, 10)
	default:
		shape.Framing = "to the end of the connection"
	}
	if b != nil {
		shape.Ended, shape.Surplus, shape.Raw, shape.Compressed = b.ended, b.beyond, b.isRaw, b.decoder.found
	}
	return shape
}

// versionPattern finds the version that an XML declaration names.
var versionPattern = regexp.MustCompile(`<\?xml\s+version\s*=\s*["']?(1\.[01])\b`)

func documentShape(read *source) *DocumentShape {
	d, _, _ := readDocument(bytes.NewReader(read.body)) // what it says of err; a fault is in the result already
	o := outlineOf(read.body)
	shape := &DocumentShape{Bytes: len(read.body), ReadAs: read.encoding.String(), Elements: o.elements, More: o.more}
	shape.Mark = bytes.HasPrefix(read.text, []byte("\ufeff"))
	if shape.Before = o.root; o.root < 0 {
		shape.Before = len(read.text)
	}
	head := read.text[:shape.Before]
	if found := versionPattern.FindSubmatch(head); found != nil {
		shape.XMLVersion = string(found[1])
	}
	if start := bytes.Index(head, []byte("<?xml")); start >= 0 {
		if found := declarationPattern.FindSubmatch(head[start:]); found != nil {
			shape.Declared = showEncoding(string(found[1]))
		}
	}
	if text, ok := d.text("err"); ok {
		shape.Err = showErr(text)
	}
	return shape
}

// The forms in which a text can be shown, because it cannot be a secret then.
var (
	namePattern     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:-]{0,30}$`)
	manyDigits      = regexp.MustCompile(`([0-9].*){4}`)
	errPattern      = regexp.MustCompile(`^N?OK(:[A-Z_]{1,20}[0-9]?)?$`)
	encodingPattern = regexp.MustCompile(`(?i)^(utf-?(8|16|32)(le|be)?|` +
		`(us-?)?ascii|latin-?[0-9]{1,2}|(iso|cp|windows|ibm|koi8|ansi)[-_a-z0-9]{0,8}[0-9]{0,4}[-_0-9]{0,3})$`)
)

// showName returns a name of an element or a header, unless it could be a value.
func showName(name string) string {
	if namePattern.MatchString(name) && !manyDigits.MatchString(name) {
		return name
	}
	return masked(name)
}

func showErr(text string) string {
	if text == "" || errPattern.MatchString(text) {
		return text
	}
	return masked(text)
}

func showEncoding(name string) string {
	if name == "" || encodingPattern.MatchString(name) {
		return name
	}
	return masked(name)
}

// masked describes a text that is not shown.
func masked(text string) string {
	return "(" + strconv.Itoa(len(text)) + " bytes: " + classOf(text) + ")"
}

// classOf names the narrowest class that all characters of text belong to.
func classOf(text string) string {
	for _, class := range [...]struct{ name, characters string }{
		{"", ""},
		{"digits", "0123456789"},
		{"digits with a sign", "+-0123456789"},
		{"lower-case hex", "0123456789abcdef"},
		{"upper-case hex", "0123456789ABCDEF"},
		{"hex of both cases", "0123456789abcdefABCDEF"},
		{"lower-case letters", "abcdefghijklmnopqrstuvwxyz"},
		{"upper-case letters", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
		{"letters", lettersOfBothCases},
		{"letters and digits", lettersOfBothCases + "0123456789"},
		{"base64", lettersOfBothCases + "0123456789+/="},
	} {
		if strings.Trim(text, class.characters) == "" {
			return class.name
		}
	}
	switch {
	case isExact(text):
		return "printable ASCII"
	case !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x7f || r < ' ' && !strings.ContainsRune("\t\r\n", r) }):
		return "printable ASCII and blanks"
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }):
		return "control characters and others"
	default:
		return "not ASCII alone"
	}
}

const lettersOfBothCases = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
