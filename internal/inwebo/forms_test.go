package inwebo_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// stepFields are the children of an answer that moves the device, and stepOf is what they say.
const stepFields = "<id>c4n4ry</id><K0>" + hexKey + "</K0><K1>" + hexKey + "</K1><dK1>c4n4ry</dK1><Tsync>17</Tsync>"

func stepOf() inwebo.Sync {
	return inwebo.Sync{ID: canary, LastSync: "17", Move: must(ratchet.NewMove(hexKey, hexKey, canary))}
}

// finalized makes each kind of finalize, on a connection of its own, and returns what it synchronizes.
func finalized(t *testing.T, base string) map[inwebo.Exchange]func() (inwebo.Sync, error) {
	t.Helper()
	return map[inwebo.Exchange]func() (inwebo.Sync, error){
		inwebo.ExchangeActivateFinalize: func() (inwebo.Sync, error) {
			got, err := newClient(t, target(t, base)).ActivateFinalize(t.Context(), inwebo.Activation{})
			return got.Sync, err
		},
		inwebo.ExchangeMSFinalize: func() (inwebo.Sync, error) {
			got, err := newClient(t, target(t, base)).MSFinalize(t.Context(), identity(""), nil, canaryProofs)
			return got.Sync, err
		},
		inwebo.ExchangeOTPFinalize: func() (inwebo.Sync, error) {
			got, err := newClient(t, target(t, base)).OTPFinalize(t.Context(), identity(""), canary, canaryProofs)
			return got.Sync, err
		},
	}
}

// assertStep checks that every finalize which the server answers like this carries the step.
func assertStep(t *testing.T, serve func(*rawConn)) {
	t.Helper()
	base := serveRaw(t, func(_ int, conn *rawConn) {
		if conn.request() != nil {
			serve(conn)
		}
	})
	for exchange, make := range finalized(t, base) { //nolint:predeclared // as in the table of calls
		got, err := make()
		if want := stepOf(); err != nil || !reflect.DeepEqual(got.Move, want.Move) || got.ID != want.ID || got.LastSync != want.LastSync {
			t.Errorf("%s: %+v, %v; want the step", exchange, got, err)
		}
	}
}

// Forms of a document that says OK and carries the step: none of them costs it.
func TestNoFormOfADocumentCostsTheStep(t *testing.T) {
	root := func(around string, fields string) string {
		return strings.Replace(around, "*", "<ActionFinalize><err>OK</err>"+fields+"</ActionFinalize>", 1)
	}
	for name, body := range map[string]string{
		"as seen":                   root(declaration+"*", stepFields),
		"ISO-8859-1":                root(`<?xml version="1.0" encoding="ISO-8859-1"?>*`, stepFields+"<s_name>\xe9</s_name>"),
		"windows-1252":              root(`<?xml version="1.0" encoding="windows-1252"?>*`, "<s_name>\x80</s_name>"+stepFields),
		"US-ASCII":                  root(`<?xml version="1.0" encoding="US-ASCII"?>*`, stepFields),
		"UTF8":                      root(`<?xml version="1.0" encoding="UTF8"?>*`, stepFields),
		"XML 1.1":                   root(`<?xml version="1.1" encoding="UTF-8"?>*`, stepFields),
		"a blank line first":        root("\r\n"+declaration+"*", stepFields),
		"a mark":                    root("\ufeff"+declaration+"*", stepFields),
		"UTF-16LE":                  inUTF16(root("\ufeff"+declaration+"*", stepFields), binary.LittleEndian),
		"UTF-16BE":                  inUTF16(root("\ufeff"+declaration+"*", stepFields), binary.BigEndian),
		"UTF-16LE, no mark":         inUTF16(root("*", stepFields), binary.LittleEndian),
		"undecodable bytes":         root(declaration+"*", "<s_name>\xff\xfe\xc3</s_name>"+stepFields),
		"a namespace":               strings.Replace(root("*", stepFields), "<ActionFinalize", `<ActionFinalize xmlns="urn:x" xmlns:xsi="urn:y" xsi:schemaLocation="a>b"`, 1),
		"an unknown element twice":  root("*", "<x/><x/>"+stepFields),
		"an unknown with children":  root("*", "<x><K1>c4n4ry</K1><y><err>NOK</err></y></x>"+stepFields),
		"fields twice, the same":    root("*", stepFields+stepFields),
		"fewer names than services": root("*", "<s_n>2</s_n><s_id>1</s_id><s_id>2</s_id><s_name>c</s_name>"+stepFields),
		"a count with blanks":       root("*", "<s_n> 1 </s_n><s_id>1</s_id>"+stepFields),
		"a count that does not fit": root("*", "<s_n>3</s_n><s_id>1</s_id>"+stepFields),
		"a count of words":          root("*", "<s_n>one</s_n><s_id>1</s_id>"+stepFields),
		"blanks around values":      root("*", strings.NewReplacer(">c", ">\r\n\t c", hexKey, " "+hexKey+"\n", "17", "\u00a017 ").Replace(stepFields)),
		"blanks in err":             strings.Replace(root("*", stepFields), "OK", "\n OK \n", 1),
		"J with two values":         root("*", "<J>1</J><J>2</J>"+stepFields),
		"a defi that cannot be":     root("*", "<defi>1</defi><defi>2</defi>"+stepFields),
		"a defi that is not ASCII":  root("*", "<defi>é</defi>"+stepFields),
		"a challenge that cannot":   root("*", "<challenge>1 2</challenge>"+stepFields),
		"a message with anything":   root("*", "<m_text>5 < 6 & &euro; <b>c</b></m_text>"+stepFields),
		"something behind it":       root("*<!-- --><x>", stepFields),
		"another word behind OK":    strings.Replace(root("*", stepFields), "OK", "OK:c4n4ry", 1),
		"blocked":                   strings.Replace(root("*", stepFields), "OK", "OK:BLOCKED", 1),
	} {
		t.Run(name, func(t *testing.T) {
			assertStep(t, func(c *rawConn) { c.answer(body) })
		})
	}
}

// Ways of HTTP to send a whole document: none of them costs the step. Nothing is waited for that is not needed: the server
// keeps the connection, and the time-outs are longer than any test.
func TestNoWayOfHTTPCostsTheStep(t *testing.T) {
	document := declaration + finalizeOf(stepFields)
	head := func(lines string) string { return "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n" + lines + "\r\n" }
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	length := func(n int) string { return head(fmt.Sprintf("Content-Length: %d\r\n", n)) }
	thenWait := func(text string) func(*rawConn) {
		return func(c *rawConn) {
			c.say("%s", text)
			c.wait()
		}
	}
	thenReset := func(text string) func(*rawConn) {
		return func(c *rawConn) {
			c.say("%s", text)
			c.reset()
		}
	}
	accented := declaration + finalizeOf("<s_name>éééé</s_name>"+stepFields)
	counted := fmt.Sprintf("Content-Length: %d\r\n", len(document))
	chunked := head("Transfer-Encoding: chunked\r\n")
	for name, serve := range map[string]func(*rawConn){
		"an encoding of identity":          thenWait(head("Transfer-Encoding: identity\r\n"+counted) + document),
		"an encoding twice":                thenWait(head(strings.Repeat("Transfer-Encoding: chunked\r\n", 2)) + chunk(document) + "0\r\n\r\n"),
		"two lengths":                      thenWait(head(counted+"Content-Length: 7\r\n") + document),
		"a length that is no number":       thenWait(head("Content-Length: c4n4ry\r\n") + document),
		"a length of nothing":              thenWait(head("Content-Length: \r\n") + document),
		"a length of 0":                    thenWait(length(0) + document),
		"a line without a colon":           thenWait(head("c4n4ry\r\n"+counted) + document),
		"a line without a name":            thenWait(head(": c4n4ry\r\n"+counted) + document),
		"a name that is not ASCII":         thenWait(head("X-C4n4ry-\u00e9: 1\r\n"+counted) + document),
		"a value with a zero":              thenWait(head("X: c4n4ry\x00\r\n"+counted) + document),
		"a folded line at first":           thenWait("HTTP/1.1 200 OK\r\n c4n4ry\r\n" + counted + "\r\n" + document),
		"two blanks before the status":     thenWait(strings.Replace(length(len(document)), " 200", "  200", 1) + document),
		"an empty line before the status":  thenWait("\r\n" + length(len(document)) + document),
		"HTTP/2 without its frames":        thenWait(strings.Replace(length(len(document)), "HTTP/1.1", "HTTP/2", 1) + document),
		"no head":                          says(document),
		"ten 1xx before it":                thenWait(strings.Repeat("HTTP/1.1 102 c4n4ry\r\nLink: </c4n4ry>\r\n\r\n", 10) + length(len(document)) + document),
		"chunks that are none":             thenWait(chunked + document),
		"chunks with line feeds":           thenWait(chunked + strings.ReplaceAll(chunk(document)+"0\r\n\r\n", "\r", "")),
		"chunks with blanks":               thenWait(chunked + " " + chunk(document) + "0\r\n\r\n"),
		"a chunk that is too short":        thenWait(chunked + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(document)-5, document)),
		"half a line behind the chunks":    thenWait(chunked + chunk(document) + "0\r\n\r"),
		"half a trailer":                   thenWait(chunked + chunk(document) + "0\r\nX-c4n4ry"),
		"gzip of two members":              thenWait(length(len(zipped(document[:50])+zipped(document[50:]))) + zipped(document[:50]) + zipped(document[50:])),
		"gzip of gzip":                     thenWait(length(len(zipped(zipped(document)))) + zipped(zipped(document))),
		"gzip of two members, open":        thenWait(head("") + zipped(document[:50]) + zipped(document[50:])),
		"closed before the last chunk":     says(head("Transfer-Encoding: chunked\r\n") + chunk(document)),
		"reset before the last chunk":      thenReset(head("Transfer-Encoding: chunked\r\n") + chunk(document)),
		"no last chunk":                    thenWait(head("Transfer-Encoding: chunked\r\n") + chunk(document)),
		"half a last chunk":                thenWait(head("Transfer-Encoding: chunked\r\n") + chunk(document) + "0\r\n"),
		"a broken last chunk":              thenWait(head("Transfer-Encoding: chunked\r\n") + chunk(document) + "c4n4ry\r\n"),
		"chunks of a byte":                 thenWait(head("Transfer-Encoding: chunked\r\n") + chunks(document) + "0\r\n\r\n"),
		"a length that is one too long":    thenWait(length(len(document)+1) + document),
		"one too long, closed":             says(length(len(document)+1) + document),
		"one too long, reset":              thenReset(length(len(document)+1) + document),
		"a length far too long":            thenWait(length(1<<20) + document),
		"one too short":                    thenWait(length(len(document)-1) + document),
		"a length of characters":           thenWait(length(len([]rune(accented))) + accented),
		"no length, open":                  thenWait(head("") + document),
		"no length, closed":                says(head("") + document),
		"no length, reset":                 thenReset(head("") + document),
		"HTTP/1.0":                         thenWait("HTTP/1.0 200 OK\r\n\r\n" + document),
		"HTTP/1.0, kept alive":             thenWait(fmt.Sprintf("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n%s", len(document), document)),
		"gzip":                             thenWait(length(len(zipped(document))) + zipped(document)),
		"gzip, said":                       thenWait(head("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") + chunk(zipped(document)) + "0\r\n\r\n"),
		"gzip, cut in its trailer":         says(length(len(zipped(document))) + zipped(document)[:len(zipped(document))-3]),
		"gzip, said and not true":          thenWait(head("Content-Encoding: gzip\r\n") + document),
		"deflate":                          thenWait(length(len(zlibbed(document))) + zlibbed(document)),
		"deflate, said":                    thenWait(head("Content-Encoding: deflate\r\n") + zlibbed(document)),
		"deflate without its head":         thenWait(head("Content-Encoding: deflate\r\n") + deflated(document)),
		"deflate of gzip":                  thenWait(head("Content-Encoding: gzip, deflate\r\n") + zlibbed(zipped(document))),
		"deflate, said and not true":       thenWait(head("Content-Encoding: deflate\r\n") + document),
		"br, said and not true":            thenWait(head("Content-Encoding: br\r\n"+counted) + document),
		"gzip on its way":                  thenWait(head("Transfer-Encoding: gzip, chunked\r\n") + chunk(zipped(document)) + "0\r\n\r\n"),
		"gzip on its way, in two chunks":   thenWait(head("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") + chunk(zipped(document)[:50]) + chunk(zipped(document)[50:])),
		"deflate on its way":               thenWait(head("Transfer-Encoding: deflate, chunked\r\n") + chunk(deflated(document)) + "0\r\n\r\n"),
		"gzip on its way, no chunks":       thenWait(head("Transfer-Encoding: gzip\r\n") + zipped(document)),
		"chunks behind an odd line":        thenWait(head("c4n4ry\r\nTransfer-Encoding: chunked\r\n") + chunk(document[:60]) + chunk(document[60:]) + "0\r\n\r\n"),
		"gzip of UTF-16":                   thenWait(head("Content-Encoding: x-gzip\r\n") + zipped(inUTF16("\ufeff"+document, binary.BigEndian))),
		"203":                              thenWait(strings.Replace(length(len(document))+document, "200 OK", "203 c4n4ry", 1)),
		"201":                              thenWait(strings.Replace(length(len(document))+document, "200 OK", "201 c4n4ry", 1)),
		"206, not asked for":               thenWait(strings.Replace(length(len(document))+document, "200 OK", "206 c4n4ry", 1)),
		"1xx before it":                    thenWait("HTTP/1.1 100 c4n4ry\r\n\r\nHTTP/1.1 103 c4n4ry\r\nLink: c4n4ry\r\n\r\n" + length(len(document)) + document),
		"another type":                     thenWait(strings.Replace(length(len(document))+document, "text/xml", "text/html; charset=c4n4ry", 1)),
		"an answer in reply to nothing":    thenWait(length(len(document)) + document + length(9) + "<c4n4ry/>"),
		"megabytes behind it":              repeats(head("")+document, "c4n4ry"),
		"megabytes behind it, with length": repeats(length(1<<30)+document, "c4n4ry"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertStep(t, serve)
		})
	}
}

// What a Content-Length that is too short leaves out is waited for a while, because it may come in a packet of its own.
func TestTheRestOfAnAnswerMayBeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		var answering sync.WaitGroup
		answering.Go(func() {
			document := finalizeOf(stepFields)
			half := len(document) / 2
			_, _ = io.ReadFull(server, make([]byte, len("c4n4ry")))
			_, _ = fmt.Fprintf(server, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", half, document[:half])
			time.Sleep(inwebo.DrainTimeout / 2)
			_, _ = io.WriteString(server, document[half:])
		})
		if err := inwebo.FinalizeOver(t.Context(), client); err != nil {
			t.Error(err)
		}
		_ = client.Close()
		answering.Wait()
		_ = server.Close()
	})
}

// A head that cannot be read costs no error that the rest has: what is no document is no answer.
func TestAnOddHeadMakesNoAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		behind string
		kept   string // why it cannot be read
	}{
		"nothing":                {"", ""},
		"a web page":             {"<html>c4n4ry</html>", ""},
		"another document":       {otpSetup.answer, ""},
		"a broken document":      {"<ActionFinalize><err>OK</err></c4n4ry></ActionFinalize>", "its elements do not match"},
		"a document that is cut": {"<ActionFinalize><err>OK</err><dK1>c4n4ry", "it ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				conn.say("HTTP/1.1 200 OK\r\nc4n4ry\r\n\r\n%s", row.behind)
			})
			err := otpFinalize.make(t, newClient(t, target(t, base)))
			if row.kept != "" {
				assertUnreadable(t, err, otpFinalize.exchange, row.behind, true, row.kept)
			} else {
				assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrNetwork, noHTTP)
			}
		})
	}
	t.Run("an error", func(t *testing.T) {
		base := serveRaw(t, func(_ int, conn *rawConn) {
			conn.request()
			conn.say("HTTP/1.1 404 c4n4ry\r\nc4n4ry\r\n\r\n<html>c4n4ry</html>")
		})
		err := otpFinalize.make(t, newClient(t, target(t, base)))
		assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrNetwork, noHTTP)
	})
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func zlibbed(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func deflated(text string) string {
	var b bytes.Buffer
	w := must(flate.NewWriter(&b, flate.BestCompression))
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func chunks(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "1\r\n%c\r\n", c)
	}
	return b.String()
}

// An answer in pieces is read as far as it came, each piece as it comes.
func TestAnAnswerInPieces(t *testing.T) {
	whole := withChunks(declaration + finalizeOf(stepFields))
	assertStep(t, func(c *rawConn) {
		for _, b := range []byte(whole) {
			_, _ = c.Write([]byte{b})
		}
		c.wait()
	})
}

// What decompresses to more than an answer may have is not decompressed further.
func TestGzipIsBounded(t *testing.T) {
	bomb := zipped("<ActionFinalize><err>OK</err>" + strings.Repeat(" ", 4<<20))
	base := serveRaw(t, func(_ int, conn *rawConn) {
		conn.request()
		conn.answer(bomb)
	})
	err := otpFinalize.make(t, newClient(t, target(t, base)))
	kept := "<ActionFinalize><err>OK</err>" + strings.Repeat(" ", maxAnswer-len("<ActionFinalize><err>OK</err>"))
	assertUnreadable(t, err, otpFinalize.exchange, kept, true, "it is longer than 64 KiB")
}

// An answer that cannot be read is kept whole, also what comes behind the place where reading it failed.
func TestTheWholeAnswerIsKept(t *testing.T) {
	for name, body := range map[string]string{
		"a document type":    "<!DOCTYPE x>" + finalizeOf("<dK1>c4n4ry</dK1>"),
		"elements that mix":  "<ActionFinalize><err>OK</err></c4n4ry><dK1>c4n4ry</dK1></ActionFinalize>",
		"inside of another":  "<c4n4ry>" + finalizeOf("<dK1>c4n4ry</dK1>") + "</c4n4ry>",
		"two words":          "<ActionFinalize><err>OK</err><dK1>c4n4ry</dK1><err>NOK</err></ActionFinalize>",
		"words of its own":   "<ActionFinalize><err>OKc4n4ry</err><dK1>c4n4ry</dK1></ActionFinalize>",
		"in UTF-16":          inUTF16("\ufeff<!DOCTYPE x>"+finalizeOf("<dK1>c4n4ry</dK1>"), binary.BigEndian),
		"no word":            "<ActionFinalize><dK1>c4n4ry</dK1></ActionFinalize>",
		"with a prefix":      "<!DOCTYPE x><y:ActionFinalize><err>OK</err></y:ActionFinalize>",
		"too many elements":  "<ActionFinalize><err>OK</err>" + strings.Repeat("<x/>", 1100) + "</ActionFinalize>",
		"cut at its framing": "<ActionFinalize><err>OK</err><dK1>c4n4ry",
	} {
		t.Run(name, func(t *testing.T) {
			half := len(body) / 2
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				conn.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:half])
				conn.say("%s", body[half:])
				conn.wait()
			})
			for exchange, make := range finalized(t, base) { //nolint:predeclared // as in the table of calls
				_, err := make()
				accepted := name == "elements that mix" || name == "too many elements" || name == "cut at its framing"
				assertUnreadable(t, err, exchange, body, accepted, strings.TrimPrefix(err.Error(), string(exchange)+": "+
					inwebo.ErrNoAnswer.Error()+": "+inwebo.ErrUnreadable.Error()+": "))
			}
		})
	}
}
