package inwebo_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

// sampled makes the exchange, which the server answers like this, and returns its shape as it is written.
func sampled(t *testing.T, call call, serve func(*rawConn)) (inwebo.Shape, string) {
	t.Helper()
	base := serveRaw(t, func(_ int, conn *rawConn) {
		if conn.request() != nil {
			serve(conn)
		}
	})
	config := target(t, base)
	samples := make(chan *inwebo.Sample, 1)
	config.Transcript = samples
	_ = call.make(t, newClient(t, config))
	sample := <-samples
	if text := fmt.Sprintf("%v %+v %#v %s", sample, sample, sample, sample); strings.Contains(text, canary) {
		t.Errorf("a sample prints %s", text)
	}
	text, err := json.Marshal(sample.Shape())
	if err != nil {
		t.Fatal(err)
	}
	return sample.Shape(), string(text)
}

// The values of an answer, wherever they are in it, are in no shape, in no form: neither as they are, nor encoded.
func TestAShapeHasNoValue(t *testing.T) {
	secrets := []string{canary + "-7", hexKey, "-48902903", "80517263", "C4N4RYKEY"}
	var fields strings.Builder
	for i, name := range []string{"id", "K0", "K1", "dK1", "Tsync", "defi", "challenge", "s_id", "s_name", "ms_id", "ms_key", "m_text", "J", "unknown"} {
		fmt.Fprintf(&fields, "<%s>%s</%s>", name, secrets[i%len(secrets)], name)
	}
	odd := "<x a='" + secrets[0] + "' " + secrets[1] + "='1'><!-- " + secrets[2] + " --><![CDATA[" + secrets[3] + "]]><?" + secrets[4] + "?></x>" +
		"<" + secrets[1] + ">" + secrets[0] + "</" + secrets[1] + ">" + "<y>" + secrets[3] + "<z>" + secrets[2] + "</z>" + secrets[1] + "</y>"
	bodies := map[string]string{
		"as seen":     declaration + finalizeOf(fields.String()),
		"odd":         finalizeOf(odd + fields.String()),
		"err":         "<ActionFinalize><err>NOK:" + secrets[4] + secrets[3] + "</err></ActionFinalize>",
		"err, odd":    "<ActionFinalize><err>" + secrets[0] + "</err>" + fields.String() + "</ActionFinalize>",
		"refused":     "<ActionFinalize><err>NOK:ACCESS</err>" + fields.String() + "</ActionFinalize>",
		"declared":    `<?xml version="` + secrets[3] + `" encoding="` + hexKey + `"?>` + finalizeOf(fields.String()),
		"cut":         finalizeOf(fields.String())[:400],
		"text before": secrets[0] + secrets[1] + finalizeOf(fields.String()),
		"another":     "<" + secrets[1] + ">" + secrets[0] + "</" + secrets[1] + ">",
		"UTF-16":      inUTF16("\ufeff"+finalizeOf(fields.String()), binary.LittleEndian),
		"zipped":      zipped(finalizeOf(fields.String())),
		"setup":       setupOf("<challenge>" + secrets[2] + "</challenge><Kiw>" + hexKey + "</Kiw><Kfact>" + hexKey + "</Kfact><pinmode>1</pinmode>"),
		"a page":      "<html><title>" + secrets[0] + "</title>" + secrets[1] + "</html>",
	}
	const framed = "Content-Length: %d\r\n\r\n"
	ok := "HTTP/1.1 200 " + secrets[0] + "\r\nContent-Type: text/xml; charset=" + hexKey + "\r\nX-A: " + secrets[1] + "\r\nX-" + hexKey + ": a\r\n" + framed
	for name, body := range bodies {
		assertShapeless(t, name, otpFinalize, secrets, ok, body)
	}
	for _, call := range calls {
		assertShapeless(t, string(call.exchange), call, secrets, ok, bodies["odd"])
		assertShapeless(t, string(call.exchange), call, secrets, ok, bodies["setup"])
	}
	assertShapeless(t, "a status", otpSetup, secrets, "HTTP/1.1 500 "+secrets[0]+"\r\nContent-Type: "+secrets[0]+"\r\n"+framed, bodies["odd"])
	assertShapeless(t, "no HTTP", otpSetup, secrets, secrets[0]+" %d\r\n", bodies["odd"])
}

// assertShapeless checks that nothing secret is in the shape of an exchange that is answered like this.
func assertShapeless(t *testing.T, name string, call call, secrets []string, head, body string) {
	t.Helper()
	_, text := sampled(t, call, func(c *rawConn) {
		c.say("%s%s", fmt.Sprintf(head, len(body)), body)
		c.hangUp()
	})
	for _, secret := range append(secrets, canary, canary+"-tag", canary+"-sid", canary+"-R0", "iwws", "127.0.0.1") {
		for _, form := range formsOf(secret) {
			if strings.Contains(text, form) {
				t.Errorf("%s: the shape has %q: %s", name, form, text)
			}
		}
	}
}

// formsOf returns a secret as it might show.
func formsOf(secret string) []string {
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	_, _ = w.Write([]byte(secret))
	_ = w.Close()
	forms := []string{
		secret, strings.ToUpper(secret), strings.ToLower(secret), hex.EncodeToString([]byte(secret)), url.QueryEscape(secret),
		strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="), zip.String(), inUTF16(secret, binary.LittleEndian),
	}
	if raw, err := hex.DecodeString(secret); err == nil && len(raw) > 4 {
		forms = append(forms, string(raw), strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="))
	}
	return forms
}

// A shape says how the server writes.
func TestAShapeSaysHowTheServerWrites(t *testing.T) {
	body := "\r\n" + `<?xml version="1.1" encoding="ISO-8859-1"?>` + "\n" + `<x:ActionFinalize xmlns:x="urn:c" v='1'><err>OK:BLOCKED</err><K0>  ` + hexKey +
		"\n</K0><challenge>-48902903</challenge><J/><s_name>Citro\xebn</s_name><list a=\"1\"><item>17</item></list></x:ActionFinalize>"
	shape, _ := sampled(t, otpFinalize, func(c *rawConn) {
		c.say("%s", "HTTP/1.1 203 c\r\nServer: c4n4ry\r\nContent-Type: text/xml;charset=UTF-8\r\nTransfer-Encoding: chunked\r\n\r\n"+
			fmt.Sprintf("%x\r\n%s\r\n", len(body), body))
		c.wait()
	})
	shape.Millis = 0
	got, err := json.Marshal(shape)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"exchange":"otp_finalize","result":"OK","ms":0,` +
		`"http":{"protocol":"HTTP/1.1","status":203,"headers":["Content-Type","Server"],"content_type":"text/xml","charset":"UTF-8","framing":"chunked","ended":false},` +
		`"document":{"bytes":264,"read_as":"windows-1252","bytes_before_root":46,"xml_version":"1.1","declared_encoding":"ISO-8859-1","err":"OK:BLOCKED","elements":[` +
		`{"name":"x:ActionFinalize","depth":1,"attributes":2,"length":0},` +
		`{"name":"err","depth":2,"length":10,"class":"printable ASCII"},` +
		`{"name":"K0","depth":2,"length":32,"class":"hex of both cases","blanks_before":2,"blanks_after":1},` +
		`{"name":"challenge","depth":2,"length":9,"class":"digits with a sign"},` +
		`{"name":"J","depth":2,"length":0},` +
		`{"name":"s_name","depth":2,"length":8,"class":"not ASCII alone"},` +
		`{"name":"list","depth":2,"attributes":1,"length":0},` +
		`{"name":"item","depth":3,"length":2,"class":"digits"}]}}`
	if string(got) != want {
		t.Errorf("%s", got)
	}
}

// Of an exchange without an answer, the shape has what went wrong. It is bounded, whatever the server sends.
func TestShapesOfWhatIsNoAnswer(t *testing.T) {
	shape, text := sampled(t, otpFinalize, func(*rawConn) {})
	if shape.HTTP != nil || shape.Document != nil || !strings.Contains(shape.Result, inwebo.ErrNoAnswer.Error()) {
		t.Errorf("no answer: %s", text)
	}
	many := finalizeOf(strings.Repeat("<x/>", 900))
	if shape, text = sampled(t, otpFinalize, func(c *rawConn) { c.answer(many) }); len(shape.Document.Elements) != 200 || shape.Document.More != 702 {
		t.Errorf("many elements: %d, %d more: %s", len(shape.Document.Elements), shape.Document.More, text)
	}
	long := finalizeOf("<defi>" + strings.Repeat("7", 60000))
	if shape, text = sampled(t, otpFinalize, func(c *rawConn) { c.answer(long) }); len(text) > 1000 || shape.Document.Err != "OK" {
		t.Errorf("%d bytes: %.1000s", len(text), text)
	}
}

// A transcript that takes nothing costs no exchange anything.
func TestATranscriptThatIsBusy(t *testing.T) {
	base := serveRaw(t, func(_ int, conn *rawConn) {
		for conn.request() != nil {
			conn.answer(otpFinalize.answer)
		}
	})
	config := target(t, base)
	config.Transcript = make(chan *inwebo.Sample) // that no one receives from
	c := newClient(t, config)
	for range 3 {
		if err := otpFinalize.make(t, c); err != nil {
			t.Error(err)
		}
	}
}
