package inwebosim

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOddForms drives every form at every exchange that it is made for with a liberal reader, and holds what the
// reader gets against what the form says.
func TestOddForms(t *testing.T) {
	s := with(t, func(k *Knobs) { k.SecretsMove = true })
	for _, f := range OddForms() {
		t.Run(string(f.Name), func(t *testing.T) {
			for _, at := range f.At {
				t.Run(at.Action+" "+at.Mode, func(t *testing.T) { driveForm(t, s, f, at) })
			}
		})
	}
}

func driveForm(t *testing.T, s *Simulator, f OddForm, at Match) {
	if err := s.Plant(Fault{Kind: KindForm, Form: f.Name, Match: at}); err != nil {
		t.Fatal(err)
	}
	var odd *oddReply
	c := newClient(t, s)
	c.via = func(params url.Values) (reply, error) {
		got := exchangeRaw(t, s, params)
		if odd == nil && params.Get("action") == at.Action && params.Get("mode") == at.Mode {
			odd = &got
		}
		if got.reading != ReadingComplete {
			return nil, errOdd(got.reading)
		}
		return got.fields, nil
	}
	if at.Mode == modeOTP {
		planted(t, s, c)
	}
	err := enrollAndVerify(s, c)
	switch {
	case odd == nil:
		t.Fatal("the exchange was not reached")
	case odd.reading != f.Reading || !slices.Equal(odd.spoils, f.Spoils):
		t.Errorf("read as %s without %v, the form says %s without %v", odd.reading, odd.spoils, f.Reading, f.Spoils)
	case f.Harmless() && err != nil:
		t.Errorf("the device was lost: %v", err)
	}
	if !regexp.MustCompile("(?s)" + marks()[f.Name]).Match(odd.raw) {
		t.Errorf("the answer does not look like the form:\n%.600q", odd.raw)
	}
}

// planted makes the client one whose device the service knows already.
func planted(t *testing.T, s *Simulator, c *client) {
	t.Helper()
	c.id, c.sid, c.k0, c.k1 = randomHex(8), s.serviceIDs[0], randomHex(16), randomHex(16)
	c.secret = make([]byte, 16)
	if err := s.PlantDevice(Device{
		ID: c.id, Serial: c.serial, PIN: c.pin, Secret: strings.Repeat("0", 32), K0: c.k0, K1: c.k1, Services: []string{c.sid},
	}); err != nil {
		t.Fatal(err)
	}
}

// enrollAndVerify activates the device, unless the service knows it, and has two OTPs verified.
func enrollAndVerify(s *Simulator, c *client) error {
	if c.id == "" {
		if err := c.activate(DefaultCode); err != nil {
			return err
		}
	}
	if c.sid == "" {
		c.sid = s.serviceIDs[0] // the service list was spoiled
	}
	for range 2 {
		otp, err := c.otp()
		if err != nil {
			return err
		}
		if !s.Verify(otp) {
			return errors.New("an OTP does not verify")
		}
	}
	return nil
}

type errOdd Reading

func (e errOdd) Error() string { return string(e) }

// marks are what the bytes of each form must contain.
func marks() map[Form]string {
	return map[Form]string{
		"unknown-twice":            `<m_odd>1</m_odd><m_odd>2</m_odd>`,
		"unknown-twice-empty":      `<m_odd></m_odd><m_odd></m_odd>`,
		"many-elements":            `(<m_odd>1</m_odd>){9}`,
		"large":                    `xxxxxxxxxx`,
		"too-many-elements":        `(<m_odd>1</m_odd>){9}`,
		"too-large":                `xxxxxxxxxx`,
		"repeated-same":            `<err>OK</err>.*<err>OK</err>`,
		"repeated-same-blanks":     `<err>OK</err>.*<err> \nOK \n</err>`,
		"repeated-ignored":         `<H>1</H><H>2</H>`,
		"err-different":            `<err>OK</err>.*<err>NOK:ACCESS</err>`,
		"err-missing":              `<Action(Setup|Finalize)>`,
		"blanks-around-values":     `<err>\r\n\t OK \t\n</err>`,
		"blank-fields":             `<dK1> \n </dK1>|<J> \n </J>`,
		"services-count-blanks":    `<s_n> 1\n</s_n>`,
		"services-nameless":        `<s_id>\d+</s_id>`,
		"services-names-fewer":     `<s_id>\d+</s_id>`,
		"services-name-latin-1":    `<s_name>Citro\x{FFFD}n</s_name>`,
		"services-count-differs":   `<s_n>2</s_n>`,
		"services-count-no-number": `<s_n>several</s_n>`,
		"services-id-unusable":     `<s_id>\d+é</s_id>`,
		"offline-unusable":         `<K>é`,
		"secrets-count-blanks":     `<ms_n> 1\n</ms_n>`,
		"secrets-count-differs":    `<ms_n>2</ms_n>`,
		"declaration-none":         `\r\n\r\n<Action`,
		"declaration-blank-line":   `\r\n\r\n\n<\?xml`,
		"declaration-blanks":       `\r\n\r\n \r\n\t\r\n<\?xml`,
		"declaration-standalone":   `standalone='yes' \?>\r\n<Action`,
		"declaration-xml-1.1":      `version="1\.1"`,
		"declaration-utf8":         `encoding="UTF8"\?>.*Citroën`,
		"root-attributes":          `note='a > b'>`,
		"root-namespace":           `<Action\w+ xmlns="`,
		"root-prefix":              `<iw:err>OK</iw:err>.*</iw:Action`,
		"root-trailing":            `</Action\w+>\r\n<!--`,
		"root-trailing-element":    `</Action\w+><Action`,
		"comments":                 `<!-- <err>0</err></ActionSetup></ActionFinalize> --><err>OK</err>`,
		"comments-in-values":       `<err>O<!-- 0 -->K</err>`,
		"cdata":                    `<err><!\[CDATA\[OK\]\]></err>`,
		"character-references":     `<err>&#79;&#x4b;</err>`,
		"processing-instructions":  `<\?odd <err> \?>`,
		"indented":                 `\r\n\t<err>OK</err>`,
		"blanks-in-tags":           "<err\n >OK</err\t>",
		"self-closed":              `<m_text/>`,
		"attributes":               `<err type="text">OK</err>`,
		"nested-unknown":           `<m_box><err>NOK:ACCESS</err>`,
		"nested-root":              `<m_box><Action`,
		"nested-all":               `<answer>.*</answer>`,
		"element-unclosed":         `<m_text>`,
		"truncated":                `<\?xml`,
		"doctype":                  `<!DOCTYPE Action`,

		"encoding-iso-8859-1":        `encoding="ISO-8859-1"\?>.*Citro\x{FFFD}n`,
		"encoding-windows-1252":      `encoding="windows-1252"\?>.*9 \x{FFFD}<`,
		"encoding-us-ascii":          `encoding="US-ASCII"\?>.*Citro&#235;n`,
		"encoding-message-latin-1":   `encoding="UTF-8"\?>.*d\x{FFFD}j\x{FFFD}`,
		"encoding-bom":               `\x{FEFF}<\?xml`,
		"encoding-bom-undeclared":    `\x{FEFF}<Action`,
		"encoding-utf-16-le":         `\r\n\x{FFFD}\x{FFFD}<\x00\?\x00x`,
		"encoding-utf-16-be":         `\r\n\x{FFFD}\x{FFFD}\x00<\x00\?\x00x`,
		"encoding-utf-16-undeclared": `\r\n\x{FFFD}\x{FFFD}<\x00A\x00`,

		"id-not-ascii": `<id>[0-9a-f]{15}é</id>`, "id-different": `<id>.*</id>.*<id>`,
		"K0-not-ascii": `<K0>[0-9a-f]{31}é</K0>`, "K0-different": `<K0>.*</K0>.*<K0>`,
		"K1-not-ascii": `<K1>[0-9a-f]{31}é</K1>`, "K1-different": `<K1>.*</K1>.*<K1>`,
		"dK1-not-ascii": `<dK1>[0-9a-f]{31}é</dK1>`, "dK1-different": `<dK1>.*</dK1>.*<dK1>`,
		"Tsync-not-ascii": `<Tsync>\d+é</Tsync>`, "Tsync-different": `<Tsync>\d+</Tsync>.*<Tsync>\d+</Tsync>`,
		"K0-short": `<K0>.{30}</K0>`, "K0-long": `<K0>.{34}</K0>`, "K0-not-hex": `<K0>g`, "K0-inner-blank": `<K0>\w{16} \w{16}<`,
		"K1-short": `<K1>.{30}</K1>`, "K1-long": `<K1>.{34}</K1>`, "K1-not-hex": `<K1>g`, "K1-inner-blank": `<K1>\w{16} \w{16}<`,
		"J-different":         `<J>.*</J>.*<J>`,
		"challenge-not-ascii": `<challenge>-?\d*é</challenge>`, "challenge-different": `<challenge>.*</challenge>.*<challenge>`,
		"defi-not-ascii": `<defi>\d*é</defi>`, "defi-different": `<defi>.*</defi>.*<defi>`,
		"Kiw-not-ascii": `<Kiw>[0-9a-f]*é</Kiw>`, "Kiw-different": `<Kiw>.*</Kiw>.*<Kiw>`,

		"http-close-before-last-chunk": `chunked\r\n\r\n[0-9a-f]+\r\n<\?xml.*</Action\w+>\r\n$`,
		"http-reset-before-last-chunk": `chunked\r\n\r\n[0-9a-f]+\r\n<\?xml.*</Action\w+>\r\n$`,
		"http-length-too-long":         `Content-Length: \d+\r\n\r\n.*</Action\w+>$`,
		"http-length-too-long-open":    `Content-Length: \d+\r\n\r\n.*</Action\w+>$`,
		"http-length-missing-open":     `200 OK\r\nContent-Type: text/xml\r\n\r\n.*</Action\w+>$`,
		"http-1.0":                     `HTTP/1\.0 200 OK\r\nContent-Type: text/xml\r\n\r\n.*</Action\w+>$`,
		"http-last-chunk-late":         `chunked\r\n\r\n[0-9a-f]+\r\n<\?xml.*</Action\w+>\r\n$`,
		"http-gzip-unfinished":         `chunked\r\nContent-Encoding: gzip\r\n\r\n[0-9a-f]+\r\n\x1f\x{FFFD}`,
		"http-gzip-too-large":          `Content-Encoding: gzip\r\n`,
		"http-gzip":                    `Content-Encoding: gzip\r\n.*\r\n\r\n\x1f\x{FFFD}`,
		"http-status-203":              `^HTTP/1\.1 203 `,
		"http-status-404":              `^HTTP/1\.1 404 `,
		"http-status-500":              `^HTTP/1\.1 500 `,
		"http-1xx":                     `^HTTP/1\.1 100 .*HTTP/1\.1 102 .*HTTP/1\.1 103 .*HTTP/1\.1 200 `,
		"http-content-type-html":       `Content-Type: text/html\r\n`,
		"http-content-type-none":       `^HTTP/1\.1 200 OK\r\nContent-Length: \d+\r\nDate: [^\r]*\r\nConnection: close\r\n\r\n`,
		"http-chunks-tiny":             `\r\n7\r\n<\?xml v\r\n7\r\nersion=`,
		"http-surplus":                 `</Action\w+>HTTP/1\.1 200 OK`,
		"http-surplus-after-chunks":    `</Action\w+>\r\n0\r\n\r\nHTTP/1\.1 200 OK`,
		"http-idle-closed":             `</Action\w+>$`,
		"http-idle-reset":              `</Action\w+>$`,
		"http-cut":                     `Content-Length: \d+\r\n\r\n<\?xml`,
		"http-cut-chunked":             `chunked\r\n\r\n[0-9a-f]+\r\n<\?xml.*\r\n$`,
		"http-cut-last-byte":           `</Action\w+$`,
		"http-cut-in-comment":          `</ActionSetup></ActionFinalize> -->`,
		"http-cut-reset":               `Content-Length: \d+\r\n\r\n<\?xml`,
		"http-cut-head":                `Content-Ty$`,
	}
}

// TestOddFormsAreDescribed: each form has a name of its own, says what it is, and is shown by a test.
func TestOddFormsAreDescribed(t *testing.T) {
	seen := map[Form]bool{}
	for _, f := range OddForms() {
		if f.Name == "" || seen[f.Name] || f.About == "" || len(f.At) == 0 || f.Reading == "" || marks()[f.Name] == "" {
			t.Errorf("%+v", f)
		}
		seen[f.Name] = true
		for _, at := range f.At {
			if !f.Fits(at.Action, at.Mode) || !hasOperation(at.Action, at.Mode) {
				t.Errorf("%s: at %+v", f.Name, at)
			}
		}
	}
}

// TestOddFormsAtTheControlPort lists the forms and plants one.
func TestOddFormsAtTheControlPort(t *testing.T) {
	s := with(t, func(*Knobs) {})
	status, text := control(t, s, "GET /forms", "")
	var list []OddForm
	if err := json.Unmarshal([]byte(text), &list); status != 200 || err != nil || len(list) != len(OddForms()) {
		t.Fatalf("HTTP %d, %v, %d forms", status, err, len(list))
	}
	if status, text := control(t, s, "POST /faults", `{"kind":"form","form":"err-different","mode":"otp"}`); status != 204 {
		t.Fatalf("HTTP %d %s", status, text)
	}
	if status, text := control(t, s, "POST /faults", `{"kind":"form","form":"none"}`); status != 400 || !strings.Contains(text, "GET /forms") {
		t.Errorf("an unknown form: HTTP %d %s", status, text)
	}
	c := enrolled(t, s)
	r, err := c.ask(c.setupParams())
	if err != nil || !slices.Equal(r["err"], []string{"OK", "NOK:ACCESS"}) {
		t.Errorf("%v, %v", r, err)
	}
}
