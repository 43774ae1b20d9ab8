package inwebo_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/pimsd/pimsd/internal/inwebo"
)

const (
	declaration = `<?xml version="1.0" encoding="UTF-8"?>`
	maxAnswer   = 64 << 10
	mismatched  = "its elements do not match"
	foreign     = "its root is not the expected one"
	early       = "it ends too early"
	directive   = "it carries a document type or another directive"
	noErr       = "its err is neither OK nor NOK"
	noChallenge = "the challenge cannot be used"
)

// padded is a document of exactly length bytes, with its padding inside of the root.
func padded(length int) string {
	const end = "</ActionSetup>"
	whole := otpSetup.answer
	return strings.TrimSuffix(whole, end) + strings.Repeat(" ", length-len(whole)) + end
}

// Documents with err OK and the challenge -48902903, each in its own way.
var taken = map[string]string{
	"as seen":               declaration + `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"without a declaration": `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"a lower-case encoding": `<?xml version='1.0' encoding='utf-8' standalone="yes"?><ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"another order":         `<ActionSetup><challenge>-48902903</challenge><err>OK</err></ActionSetup>`,
	"empty elements":        `<ActionSetup><err>OK</err><K></K><J/><H /><challenge>-48902903</challenge></ActionSetup>`,
	"unknown elements":      `<ActionSetup><c4n4ry>err</c4n4ry><err>OK</err><x-1.é>y</x-1.é><challenge>-48902903</challenge></ActionSetup>`,
	"white space between":   declaration + "\r\n<ActionSetup>\n\t<err>OK</err >\n <challenge>-48902903</challenge>\n</ActionSetup>\n",
	"comments":              `<!-- c4n4ry --><ActionSetup><err>O<!-- < -->K</err><!----><challenge>-48902903</challenge></ActionSetup><!-- c -->`,
	"character references":  `<ActionSetup><err>&#79;&#x4B;</err><challenge>&#45;48902903</challenge></ActionSetup>`,
	"character data":        `<ActionSetup><err><![CDATA[OK]]></err><challenge>-<![CDATA[48902903]]></challenge></ActionSetup>`,
	"lists that repeat":     `<ActionSetup><err>OK</err><s_id>1</s_id><s_id>2</s_id><ms_id/><ms_id/><m_x/><m_x/><challenge>-48902903</challenge></ActionSetup>`,

	"blanks around values":              "<ActionSetup><err> OK\n</err><challenge>\r\n\t-48902903 \u00a0</challenge></ActionSetup>",
	"an unknown one twice":              `<ActionSetup><err>OK</err><c4n4ry>1</c4n4ry><c4n4ry>2</c4n4ry><challenge>-48902903</challenge></ActionSetup>`,
	"an unknown one twice, empty":       `<ActionSetup><err>OK</err><c4n4ry/><c4n4ry/><challenge>-48902903</challenge></ActionSetup>`,
	"elements inside an unknown one":    `<ActionSetup><c4n4ry>1<err>NOK</err><x><challenge>2</challenge></x></c4n4ry><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"the root inside an unknown one":    `<ActionSetup><c><ActionSetup><err>NOK</err></ActionSetup></c><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"err twice, the same":               `<ActionSetup><err>OK</err><err> OK </err><challenge>-48902903</challenge><challenge>-48902903</challenge></ActionSetup>`,
	"attributes":                        `<ActionSetup v="1" w='>'><err code="a>b">OK</err><challenge x = "/">-48902903</challenge></ActionSetup>`,
	"a bare attribute":                  `<ActionSetup nil v=1><err it's>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"an empty one with an attribute":    `<ActionSetup><K xsi:nil="true"/><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"a namespace":                       `<ActionSetup xmlns="urn:c4n4ry"><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"a prefix of the root":              `<x:ActionSetup xmlns:x="urn:c4n4ry"><err>OK</err><challenge>-48902903</challenge></x:ActionSetup>`,
	"a prefix of all":                   `<x:ActionSetup xmlns:x="urn:c"><x:err>OK</x:err><x:challenge>-48902903</x:challenge></x:ActionSetup>`,
	"a blank line before":               "\r\n" + declaration + `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"text before":                       `Warning: c4n4ry <ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"text between":                      `<ActionSetup>a<err>OK</err>b &amp; c<![CDATA[<err>]]><challenge>-48902903</challenge>d</ActionSetup>`,
	"anything behind the root":          `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup><ActionSetup><err>NOK</err></ActionSetup> & c4n4ry`,
	"instructions":                      `<?c4n4ry x?><ActionSetup><?php echo '<err>'; ?><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"a declaration inside":              `<ActionSetup>` + declaration + `<err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"XML 1.1":                           `<?xml version="1.1"?><ActionSetup><err>OK</err><H>&#1;</H><challenge>-48902903</challenge></ActionSetup>`,
	"an entity that is not declared":    `<ActionSetup><err>OK</err><s_name>Citro&euml;n & &#; &#xg; &</s_name><challenge>-48902903</challenge></ActionSetup>`,
	"a < that begins nothing":           `<ActionSetup><err>OK</err><m_text>1 < 2 <3</m_text><challenge>-48902903</challenge></ActionSetup>`,
	"control characters":                "<ActionSetup><err>OK</err><H>\x00\x01</H><challenge>-48902903</challenge></ActionSetup>",
	"Latin-1, declared":                 "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><ActionSetup><err>OK</err><s_name>Citro\xebn</s_name><challenge>-48902903</challenge></ActionSetup>",
	"windows-1252, declared":            "<?xml version=\"1.0\" encoding=\"windows-1252\"?><ActionSetup><err>OK</err><s_name>\x80 \x81</s_name><challenge>-48902903</challenge></ActionSetup>",
	"Latin-1, not declared":             "<ActionSetup><err>OK</err><s_name>\xe9\xff</s_name><challenge>-48902903</challenge></ActionSetup>",
	"Latin-1, declared as UTF-8":        declaration + "<ActionSetup><err>OK</err><s_name>\xe9</s_name><challenge>-48902903</challenge></ActionSetup>",
	"UTF-8, declared as US-ASCII":       `<?xml version="1.0" encoding="US-ASCII"?><ActionSetup><err>OK</err><s_name>é</s_name><challenge>-48902903</challenge></ActionSetup>`,
	"UTF-8, declared as UTF8":           `<?xml version="1.0" encoding="UTF8"?><ActionSetup><err>OK</err><s_name>é</s_name><challenge>-48902903</challenge></ActionSetup>`,
	"UTF-8, declared as UTF-16":         `<?xml version="1.0" encoding="UTF-16"?><ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"UTF-8, declared as something":      `<?xml version="1.0" encoding="c4n4ry"?><ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"a byte order mark":                 "\xef\xbb\xbf" + declaration + `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"UTF-16, little-endian":             inUTF16("\ufeff<?xml version=\"1.0\" encoding=\"UTF-16\"?><ActionSetup><err>OK</err><s_name>é€😀</s_name><challenge>-48902903</challenge></ActionSetup>", binary.LittleEndian),
	"UTF-16, big-endian":                inUTF16("\ufeff<?xml version=\"1.0\" encoding=\"UTF-16\"?><ActionSetup><err>OK</err><s_name>é€😀</s_name><challenge>-48902903</challenge></ActionSetup>", binary.BigEndian),
	"UTF-16, little-endian, no mark":    inUTF16("<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>", binary.LittleEndian),
	"UTF-16, big-endian, no mark":       inUTF16("<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>", binary.BigEndian),
	"UTF-16, half a pair":               "\xff\xfe" + inUTF16("<ActionSetup><err>OK</err><s_name>", binary.LittleEndian) + "\x00\xd8" + inUTF16("</s_name><challenge>-48902903</challenge></ActionSetup>", binary.LittleEndian),
	"UTF-16 with an odd byte behind it": inUTF16("<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>", binary.LittleEndian) + "c",
}

func inUTF16(text string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// However a document arrives, it is read as the same, and nothing of it is lost.
func TestDocumentsThatAreTaken(t *testing.T) {
	for name, body := range taken {
		t.Run(name, func(t *testing.T) {
			challenge, err := answering(t, body).OTPSetup(t.Context(), identity(""), canary)
			if err != nil || challenge.Text != "-48902903" {
				t.Errorf("challenge %q, %v", challenge.Text, err)
			}
			whole, err := inwebo.ParseDocument([]byte(body))
			bit, err2 := inwebo.ParseDocumentFrom(iotest.OneByteReader(strings.NewReader(body)))
			if err != nil || err2 != nil || !reflect.DeepEqual(whole.Fields(), bit.Fields()) {
				t.Errorf("%v, %v; byte by byte %v, %v", whole.Fields(), err, bit.Fields(), err2)
			}
		})
	}
	if err := otpSetup.make(t, answering(t, padded(maxAnswer))); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
}

// Names in any encoding are read, and bytes that belong to none do no harm.
func TestNamesInEveryEncoding(t *testing.T) {
	const prolog = `<?xml version="1.0" encoding="%s"?><ActionFinalize><s_name>`
	for name, test := range map[string]struct{ body, want string }{
		"UTF-8":                       {declaration + "<ActionFinalize><s_name>Citroën €", "Citroën €"},
		"UTF-8, UTF8":                 {fmt.Sprintf(prolog, "UTF8") + "Citroën €", "Citroën €"},
		"UTF-8, undeclared":           {"<ActionFinalize><s_name>Citroën €", "Citroën €"},
		"ISO-8859-1":                  {fmt.Sprintf(prolog, "ISO-8859-1") + "Citro\xebn", "Citroën"},
		"ISO-8859-1, UTF-8 in it":     {fmt.Sprintf(prolog, "iso-8859-1") + "\xc3\xab", "Ã«"},
		"windows-1252":                {fmt.Sprintf(prolog, "windows-1252") + "Citro\xebn \x80", "Citroën €"},
		"windows-1252 called UTF-8":   {fmt.Sprintf(prolog, "UTF-8") + "Citro\xebn \x80", "Citroën €"},
		"windows-1252 called nothing": {"<ActionFinalize><s_name>Citro\xebn \x80", "Citroën €"},
		"windows-1252 called ASCII":   {fmt.Sprintf(prolog, "US-ASCII") + "Citro\xebn \x80", "Citroën €"},
	} {
		d, err := inwebo.ParseDocument([]byte(test.body + "</s_name></ActionFinalize>"))
		if err != nil || d.Fields()["s_name"][0] != test.want {
			t.Errorf("%s: %q, %v; want %q", name, d.Fields(), err, test.want)
		}
	}
}

// A document is read no further than to the end of its root.
func TestNothingIsReadBehindTheRoot(t *testing.T) {
	for name, body := range map[string]string{
		"UTF-8": otpSetup.answer, "UTF-16": inUTF16(otpSetup.answer, binary.LittleEndian), "an empty root": "<ActionSetup/>",
	} {
		more := readerFunc(func([]byte) (int, error) {
			t.Errorf("%s: it is read on", name)
			return 0, io.EOF
		})
		if _, err := inwebo.ParseDocumentFrom(io.MultiReader(strings.NewReader(body), more)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Documents that are refused, and in which words.
var refused = map[string]struct{ body, detail string }{
	"nothing":            {"", early},
	"white space":        {" \r\n\t", early},
	"only a declaration": {declaration, early},
	"text":               {"c4n4ry", early},
	"JSON":               {`{"err":"OK","challenge":"c4n4ry"}`, early},
	"UTF-16, foreign":    {"\xff\xfe<\x00A\x00/\x00>\x00", foreign},
	"a document type":    {"<!DOCTYPE ActionSetup>" + otpSetup.answer, directive},
	"an external entity": {
		`<!DOCTYPE ActionSetup [<!ENTITY c SYSTEM "file:///etc/passwd">]><ActionSetup><err>OK</err><challenge>&c;</challenge></ActionSetup>`,
		directive,
	},
	"an entity bomb": {
		`<!DOCTYPE b [<!ENTITY a "c4n4ry"><!ENTITY b "&a;&a;&a;&a;">]><ActionSetup><err>&b;</err></ActionSetup>`, directive,
	},
	"an entity inside":             {"<ActionSetup><!ENTITY c4n4ry 'x'><err>OK</err></ActionSetup>", directive},
	"a prefix of an end":           {`<ActionSetup><err>OK</c4n4ry:err><challenge>1</challenge></ActionSetup>`, mismatched},
	"elements inside":              {"<ActionSetup><err>OK</err><challenge>1<b>2</b></challenge></ActionSetup>", noChallenge},
	"elements inside, empty":       {"<ActionSetup><err>OK</err><challenge>1<b/></challenge></ActionSetup>", noChallenge},
	"an entity as a value":         {"<ActionSetup><err>OK</err><challenge>1&c4n4ry;&#233;</challenge></ActionSetup>", noChallenge},
	"a blank within":               {"<ActionSetup><err>OK</err><challenge>c4n 4ry</challenge></ActionSetup>", noChallenge},
	"a value that is not ASCII":    {"<ActionSetup><err>OK</err><challenge>c4n4ryé</challenge></ActionSetup>", noChallenge},
	"a zero byte":                  {"<ActionSetup><err>OK</err><challenge>1\x00</challenge></ActionSetup>", noChallenge},
	"two challenges":               {"<ActionSetup><err>OK</err><challenge>1</challenge><challenge>2</challenge></ActionSetup>", noChallenge},
	"an empty one, then another":   {"<ActionSetup><err>OK</err><challenge/><challenge>1</challenge></ActionSetup>", noChallenge},
	"a root inside":                {"<c4n4ry>" + otpSetup.answer + "</c4n4ry>", foreign},
	"a foreign root":               {"<c4n4ry><err>OK</err></c4n4ry>", foreign},
	"a root of another case":       {"<actionsetup><err>OK</err></actionsetup>", foreign},
	"the root of the other kind":   {"<ActionFinalize><err>OK</err><challenge>1</challenge></ActionFinalize>", foreign},
	"elements that cross":          {"<ActionSetup><err>OK</challenge></err></ActionSetup>", mismatched},
	"an end too many":              {"<ActionSetup><err>OK</err></err></ActionSetup>", mismatched},
	"an end before all":            {"</c4n4ry>" + otpSetup.answer, mismatched},
	"an element that is left open": {"<ActionSetup><err>OK</ActionSetup>", mismatched},
	"err twice":                    {"<ActionSetup><err>OK</err><err>NOK</err><challenge>1</challenge></ActionSetup>", noErr},
	"err with elements":            {"<ActionSetup><err>OK<b/></err><challenge>1</challenge></ActionSetup>", noErr},
	"64 KiB and a byte":            {padded(maxAnswer + 1), "it is longer than 64 KiB"},
	"a megabyte":                   {padded(1 << 20), "it is longer than 64 KiB"},
	"1,025 elements":               {"<ActionSetup>" + strings.Repeat("<a/>", 1025) + "</ActionSetup>", "it has more than 1024 elements"},
	"1,025 nested":                 {"<ActionSetup>" + strings.Repeat("<a>", 1025), "it has more than 1024 elements"},
	"no err":                       {"<ActionSetup><challenge>c4n4ry</challenge></ActionSetup>", noErr},
	"an empty root":                {"<ActionSetup/>", noErr},
}

func TestDocumentsThatAreRefused(t *testing.T) {
	for name, test := range refused {
		t.Run(name, func(t *testing.T) {
			err := otpSetup.make(t, answering(t, test.body))
			assertFault(t, err, otpSetup.exchange, inwebo.ErrNoAnswer, inwebo.ErrNotUnderstood, test.detail)
		})
	}
}

// No beginning of a document is taken for the document.
func TestTruncatedDocumentsAreRefused(t *testing.T) {
	whole := declaration + otpFinalize.answer
	for n := range whole {
		if document, err := inwebo.ParseDocument([]byte(whole[:n])); err == nil {
			t.Errorf("%q is taken: %v", whole[:n], document.Fields())
		}
	}
	if _, err := inwebo.ParseDocument([]byte(whole)); err != nil {
		t.Errorf("the whole is refused: %v", err)
	}
}

func TestWebPagesAreNotTheService(t *testing.T) {
	pages := map[string]string{
		"HTML":             "<!DOCTYPE html><html><body>c4n4ry</body></html>",
		"HTML, bare":       "<html><body>c4n4ry</body></html>",
		"HTML, old":        `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN"><HTML><HEAD>c4n4ry`,
		"HTML without one": "<!doctype html><title>c4n4ry</title>",
		"XHTML":            declaration + `<!DOCTYPE html PUBLIC "x"><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>`,
		"UTF-16":           inUTF16("\ufeff<html>c4n4ry</html>", binary.LittleEndian),
		"a late start":     "\xef\xbb\xbf\r\n<!-- c4n4ry -->\n<html lang=fr>c4n4ry</html>",
		"broken off":       "<html><p>c4n4ry",
		"a long page":      "<!DOCTYPE html><html>" + strings.Repeat("c4n4ry", maxAnswer),
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			for _, call := range calls {
				err := call.make(t, answering(t, page))
				assertFault(t, err, call.exchange, inwebo.ErrNoAnswer, inwebo.ErrNotService, "it answers with a web page")
			}
		})
	}
}

// A document of the service is one whatever it quotes.
func TestADocumentThatQuotesHTMLIsNoPage(t *testing.T) {
	err := otpSetup.make(t, answering(t, "<ActionSetup><err>NOK:ACCESS</err><m_text><![CDATA[<html>]]></m_text></ActionSetup>"))
	if _, ok := errors.AsType[*inwebo.Refusal](err); !ok {
		t.Errorf("%v; want a refusal", err)
	}
}
