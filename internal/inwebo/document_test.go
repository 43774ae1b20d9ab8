package inwebo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

const (
	declaration = `<?xml version="1.0" encoding="UTF-8"?>`
	maxAnswer   = 64 << 10
	notWell     = "it is not well-formed XML"
	nested      = "its elements are nested"
	decorated   = "an element has a namespace or attributes"
	twice       = "an element that is no list stands twice"
	mismatched  = "its elements do not match"
	between     = "there is text between its elements"
	foreign     = "its root is not the expected one"
	early       = "it ends too early"
	directive   = "it carries a document type or another directive"
	instruction = "it carries a processing instruction"
	noErr       = "its err is neither OK nor NOK"
)

// padded is a document of exactly length bytes.
func padded(length int) string {
	return otpSetup.answer + strings.Repeat(" ", length-len(otpSetup.answer))
}

// Documents that say err OK and the challenge -48902903, each in its own way.
var taken = map[string]string{
	"as seen":               declaration + `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"without a declaration": `<ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"a lower-case encoding": `<?xml version='1.0' encoding='utf-8' standalone="yes"?><ActionSetup><err>OK</err><challenge>-48902903</challenge></ActionSetup>`,
	"another order":         `<ActionSetup><challenge>-48902903</challenge><err>OK</err></ActionSetup>`,
	"empty elements":        `<ActionSetup><err>OK</err><K></K><J/><H /><challenge>-48902903</challenge></ActionSetup>`,
	"unknown elements":      `<ActionSetup><c4n4ry>err</c4n4ry><err>OK</err><x-1.é>y</x-1.é><challenge>-48902903</challenge></ActionSetup>`,
	"white space between":   declaration + "\r\n<ActionSetup>\n\t<err>OK</err >\n <challenge>-48902903</challenge>\n</ActionSetup>\n",
	"comments":              `<!-- c4n4ry --><ActionSetup><err>O<!-- -->K</err><!----><challenge>-48902903</challenge></ActionSetup><!-- c -->`,
	"character references":  `<ActionSetup><err>&#79;&#x4B;</err><challenge>&#45;48902903</challenge></ActionSetup>`,
	"character data":        `<ActionSetup><err><![CDATA[OK]]></err><challenge>-<![CDATA[48902903]]></challenge></ActionSetup>`,
	"lists that repeat":     `<ActionSetup><err>OK</err><s_id>1</s_id><s_id>2</s_id><ms_id/><ms_id/><m_x/><m_x/><challenge>-48902903</challenge></ActionSetup>`,
}

func TestDocumentsThatAreTaken(t *testing.T) {
	for name, body := range taken {
		t.Run(name, func(t *testing.T) {
			challenge, err := answering(t, body).OTPSetup(t.Context(), identity(""), canary)
			if err != nil || challenge.Text != "-48902903" {
				t.Errorf("challenge %q, %v", challenge.Text, err)
			}
		})
	}
	if err := otpSetup.make(t, answering(t, padded(maxAnswer))); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
}

// Documents that are refused, and in which words.
var refused = map[string]struct{ body, detail string }{
	"nothing":                        {"", early},
	"white space":                    {" \r\n\t", early},
	"only a declaration":             {declaration, early},
	"text":                           {"c4n4ry", between},
	"JSON":                           {`{"err":"OK","challenge":"c4n4ry"}`, between},
	"a byte order mark":              {"\xef\xbb\xbf" + otpSetup.answer, between},
	"UTF-16":                         {"\xff\xfe<\x00A\x00/\x00>\x00", notWell},
	"Latin-1, declared":              {`<?xml version="1.0" encoding="ISO-8859-1"?>` + otpSetup.answer, notWell},
	"Latin-1, not declared":          {"<ActionSetup><err>OK</err><challenge>\xe9c4n4ry</challenge></ActionSetup>", notWell},
	"XML 1.1":                        {`<?xml version="1.1"?>` + otpSetup.answer, notWell},
	"a zero byte":                    {"<ActionSetup><err>OK</err><challenge>\x00</challenge></ActionSetup>", notWell},
	"a reference to a zero":          {"<ActionSetup><err>OK</err><challenge>&#0;</challenge></ActionSetup>", notWell},
	"an entity that is not declared": {"<ActionSetup><err>OK</err><challenge>&c4n4ry;</challenge></ActionSetup>", notWell},
	"an attribute without quotes":    {"<ActionSetup a=c4n4ry><err>OK</err></ActionSetup>", notWell},
	"a document type":                {"<!DOCTYPE ActionSetup>" + otpSetup.answer, directive},
	"an external entity": {
		`<!DOCTYPE ActionSetup [<!ENTITY c SYSTEM "file:///etc/passwd">]><ActionSetup><err>OK</err><challenge>&c;</challenge></ActionSetup>`,
		directive,
	},
	"an entity bomb": {
		`<!DOCTYPE b [<!ENTITY a "c4n4ry"><!ENTITY b "&a;&a;&a;&a;">]><ActionSetup><err>&b;</err></ActionSetup>`, directive,
	},
	"an entity inside":             {"<ActionSetup><!ENTITY c4n4ry 'x'><err>OK</err></ActionSetup>", directive},
	"a processing instruction":     {"<?c4n4ry x?>" + otpSetup.answer, instruction},
	"an instruction inside":        {"<ActionSetup><?php c4n4ry?><err>OK</err></ActionSetup>", instruction},
	"a second declaration":         {declaration + declaration + otpSetup.answer, instruction},
	"a declaration that is late":   {"\n" + declaration + otpSetup.answer, instruction},
	"a declaration inside":         {"<ActionSetup>" + declaration + "<err>OK</err></ActionSetup>", instruction},
	"an attribute":                 {`<ActionSetup><err c4n4ry="1">OK</err></ActionSetup>`, decorated},
	"an attribute of the root":     {`<ActionSetup v="c4n4ry"><err>OK</err></ActionSetup>`, decorated},
	"a namespace":                  {`<ActionSetup xmlns="urn:c4n4ry"><err>OK</err></ActionSetup>`, decorated},
	"a prefix":                     {`<ActionSetup><c4n4ry:err>OK</c4n4ry:err></ActionSetup>`, decorated},
	"a prefix of the root":         {`<c4n4ry:ActionSetup><err>OK</err></c4n4ry:ActionSetup>`, decorated},
	"a prefix of an end":           {`<ActionSetup><err>OK</c4n4ry:err><challenge>1</challenge></ActionSetup>`, mismatched},
	"a root inside":                {"<ActionSetup><ActionSetup><err>OK</err></ActionSetup></ActionSetup>", nested},
	"elements inside":              {"<ActionSetup><err>OK</err><challenge>1<b>2</b></challenge></ActionSetup>", nested},
	"elements inside an unknown":   {"<ActionSetup><err>OK</err><c4n4ry><challenge>2</challenge></c4n4ry></ActionSetup>", nested},
	"two roots":                    {otpSetup.answer + otpSetup.answer, "it has more than one root"},
	"a second, empty root":         {otpSetup.answer + "<ActionSetup/>", "it has more than one root"},
	"a foreign root":               {"<c4n4ry><err>OK</err></c4n4ry>", foreign},
	"a root of another case":       {"<actionsetup><err>OK</err></actionsetup>", foreign},
	"the root of the other kind":   {"<ActionFinalize><err>OK</err><challenge>1</challenge></ActionFinalize>", foreign},
	"text before":                  {"c4n4ry" + otpSetup.answer, between},
	"text behind":                  {otpSetup.answer + "c4n4ry", between},
	"text between":                 {"<ActionSetup><err>OK</err>c4n4ry<challenge>1</challenge></ActionSetup>", between},
	"character data between":       {"<ActionSetup><err>OK</err><![CDATA[c4n4ry]]><challenge>1</challenge></ActionSetup>", between},
	"elements that cross":          {"<ActionSetup><err>OK</challenge></err></ActionSetup>", mismatched},
	"an end too many":              {otpSetup.answer + "</ActionSetup>", mismatched},
	"an element that is left open": {"<ActionSetup><err>OK</ActionSetup>", mismatched},
	"err twice":                    {"<ActionSetup><err>OK</err><err>OK</err><challenge>1</challenge></ActionSetup>", twice},
	"an empty one, then another":   {"<ActionSetup><err>OK</err><challenge/><challenge>1</challenge></ActionSetup>", twice},
	"an unknown one twice":         {"<ActionSetup><err>OK</err><c4n4ry/><c4n4ry/><challenge>1</challenge></ActionSetup>", twice},
	"a count twice":                {"<ActionSetup><err>OK</err><s_n>1</s_n><s_n>2</s_n><challenge>1</challenge></ActionSetup>", twice},
	"64 KiB and a byte":            {padded(maxAnswer + 1), "it is longer than 64 KiB"},
	"a megabyte":                   {padded(1 << 20), "it is longer than 64 KiB"},
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
