package inwebosim

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// oddReply is what a liberal reader, written for these tests from docs/protocol.md §1 alone, makes of an answer.
type oddReply struct {
	raw     []byte
	reading Reading
	spoils  []string // present, and not usable
	fields  reply    // what is usable, stripped
}

// exchangeRaw sends one request on a connection of its own and returns the bytes that arrive until the server
// closes the connection or the answer is complete.
func exchangeRaw(t testing.TB, s *Simulator, params url.Values) oddReply {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.ProtocolURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /iwws/MAC?"+params.Encode()+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var raw []byte
	part := make([]byte, 64<<10)
	for {
		n, err := conn.Read(part)
		raw = append(raw, part[:n]...)
		if err != nil {
			return readOdd(params.Get("action"), raw)
		}
		if got := readOdd(params.Get("action"), raw); got.reading == ReadingComplete {
			return got
		}
	}
}

// readOdd reads an answer as it has arrived so far.
func readOdd(action string, raw []byte) oddReply {
	got := oddReply{raw: raw, reading: ReadingCut}
	body, isWhole := bodyOf(raw)
	list, isClosed, err := children(action, body[:min(len(body), 64<<10)])
	switch {
	case isClosed && err == nil:
		got.validate(list)
	case isWhole:
		got.reading = ReadingUnreadable
	case bytes.Contains(body, []byte("<"+action)):
		got.reading = ReadingBegun
	}
	return got
}

// bodyOf returns the body of the first final response, as far as it has come, and reports whether its framing is complete.
func bodyOf(raw []byte) (body []byte, isWhole bool) {
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		response, err := http.ReadResponse(r, nil) //nolint:bodyclose // the connection is closed
		if err != nil {
			return nil, false
		}
		if response.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(response.Body)
		if response.Header.Get("Content-Encoding") == "gzip" {
			unzipped, errZip := gzip.NewReader(bytes.NewReader(body))
			if errZip != nil {
				return nil, false
			}
			body, _ = io.ReadAll(unzipped)
		}
		return body, err == nil
	}
}

var errTooMuch = errors.New("a document type, or beyond the bounds")

// children returns the direct children of the root, and reports whether the root has been closed.
func children(root string, doc []byte) (list []Field, isClosed bool, err error) {
	decoder := xml.NewDecoder(strings.NewReader(decodeText(doc)))
	depth, elements := 0, 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil, false, err
		}
		switch token := token.(type) {
		case xml.Directive:
			return nil, false, errTooMuch
		case xml.StartElement:
			depth++
			elements++
			if depth == 1 && token.Name.Local != root || elements > 1024 {
				return nil, false, errTooMuch
			}
			if depth == 2 {
				list = append(list, Field{Name: token.Name.Local})
			}
		case xml.CharData:
			if depth == 2 {
				list[len(list)-1].Value += string(token)
			}
		case xml.EndElement:
			if depth--; depth == 0 {
				return list, true, nil
			}
		}
	}
}

var declarationForm = regexp.MustCompile(`^\s*<\?xml[^>]*?(?:encoding=["']([^"']+)["'][^>]*)?\?>`)

// decodeText returns a document as UTF-8 and without its declaration.
func decodeText(doc []byte) string {
	if len(doc) >= 2 && (doc[0] == 0xFE && doc[1] == 0xFF || doc[0] == 0xFF && doc[1] == 0xFE) {
		units := make([]uint16, 0, len(doc)/2)
		for i := 2; i+1 < len(doc); i += 2 {
			high, low := doc[i], doc[i+1]
			if doc[0] == 0xFF {
				high, low = low, high
			}
			units = append(units, uint16(high)<<8|uint16(low))
		}
		text := string(utf16.Decode(units))
		return text[len(declarationForm.FindString(text)):]
	}
	doc = bytes.TrimPrefix(doc, []byte("\xEF\xBB\xBF"))
	declaration := declarationForm.FindSubmatch(doc)
	if declaration == nil {
		return validText(doc)
	}
	doc = doc[len(declaration[0]):]
	switch strings.ToLower(string(declaration[1])) {
	case "iso-8859-1":
		return singleBytes(doc, nil)
	case "windows-1252":
		return singleBytes(doc, map[byte]rune{0x80: '€', 0x92: '’', 0x96: '–'})
	default:
		return validText(doc)
	}
}

func validText(doc []byte) string { return string(bytes.ToValidUTF8(doc, []byte("\uFFFD"))) }

func singleBytes(doc []byte, special map[byte]rune) string {
	var b strings.Builder
	for _, c := range doc {
		if r, ok := special[c]; ok {
			b.WriteRune(r)
		} else {
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// validate applies the rules for values and their number.
func (r *oddReply) validate(list []Field) {
	values := reply{}
	for _, f := range list {
		values[f.Name] = append(values[f.Name], strings.Trim(f.Value, " \t\r\n"))
	}
	if errs := slices.Compact(values["err"]); len(errs) != 1 {
		r.reading = ReadingUnreadable
		return
	}
	r.reading, r.fields = ReadingComplete, values
	for _, name := range slices.Concat(stepFields(), []string{"challenge", "defi", "Kiw", "J"}) {
		if given := slices.Compact(values[name]); len(given) > 1 || len(given) == 1 && given[0] != "" && !usable(name, given[0]) {
			r.spoil(name)
		}
	}
	if n := values.one("ms_n"); n != "" && n != strconv.Itoa(len(values["ms_id"])) {
		r.spoil("ms_n")
	}
	isOdd := func(id string) bool { return !isASCII(id) }
	if n := values.one("s_n"); n != "" && (n != strconv.Itoa(len(values["s_id"])) || slices.ContainsFunc(values["s_id"], isOdd)) {
		r.spoil("services")
		delete(r.fields, "s_id")
	}
}

func (r *oddReply) spoil(name string) {
	r.spoils = append(r.spoils, name)
	delete(r.fields, name)
	if slices.Contains(stepFields(), name) {
		for _, other := range stepFields() {
			delete(r.fields, other)
		}
	}
}

// usable reports whether a value has the exact form of those that enter a proof or a request.
func usable(name, value string) bool {
	switch name {
	case "K0", "K1", "dK1":
		return isLowerHex(value, 32)
	case "Tsync", "defi":
		return isDigits(value)
	case "challenge":
		return isDigits(strings.TrimPrefix(value, "-"))
	case "Kiw":
		return isLowerHex(value, len(value))
	default:
		return isASCII(value)
	}
}
