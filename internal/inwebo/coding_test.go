package inwebo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/secret"
)

// An answer to a finalize that is coded in a way that pimsd cannot decode is kept as it arrived, with the head that says how it is
// coded. So a newer pimsd can decode it.
func TestAnAnswerThatCannotBeDecodedIsKept(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nX-Any: 1\r\n"
	coded := "\x0b\x02\x80c4n4ry<\x00>\x03"
	broken := zipped(finalizeOf(stepFields))[:10] + "c4n4ry c4n4ry"
	for name, row := range map[string]struct{ arrives, why string }{
		"br":                  {ok + "Content-Encoding: br\r\nContent-Length: 13\r\n\r\n" + coded, "it is coded in a way that is not known"},
		"br, open":            {ok + "Content-Encoding: br\r\n\r\n" + coded, "it is coded in a way that is not known"},
		"br of gzip":          {ok + "Content-Encoding: gzip, br\r\n\r\n" + coded, "it is coded in a way that is not known"},
		"zstd in chunks":      {ok + "Content-Encoding: ZSTD\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n" + coded + "\r\n0\r\n\r\n", "it is coded in a way that is not known"},
		"br on its way":       {ok + "Transfer-Encoding: br, chunked\r\n\r\nd\r\n" + coded + "\r\n0\r\n\r\n", "it is coded in a way that is not known"},
		"br, cut":             {ok + "Content-Encoding: br\r\nContent-Length: 99\r\n\r\n" + coded, "it is coded in a way that is not known"},
		"gzip that is broken": {ok + "Content-Encoding: gzip\r\n\r\n" + broken, "it is compressed, and broken"},
		"zlib that is broken": {ok + "Content-Length: 8\r\n\r\nx\x9c\xff\xff\xff\xff\xff\xff", "it is compressed, and broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serveRaw(t, func(_ int, conn *rawConn) {
				conn.request()
				conn.say("%s", row.arrives)
			})
			for exchange, make := range finalized(t, base) { //nolint:predeclared // as in the table of calls
				_, err := make()
				assertUnreadable(t, err, exchange, row.arrives, false, row.why)
				if _, err := inwebo.ReadAnswer(exchange, secret.NewBytes([]byte(row.arrives))); !errors.Is(err, inwebo.ErrUnreadable) {
					t.Errorf("read again: %v", err)
				}
			}
			if err := otpSetup.make(t, newClient(t, target(t, base))); !errors.Is(err, inwebo.ErrNoAnswer) || errors.Is(err, inwebo.ErrUnreadable) {
				t.Errorf("a setup: %v", err)
			}
		})
	}
}

// A page that says that it is coded in an unknown way, and is not, is a page.
func TestAPageWithAnUnknownCodingIsAPage(t *testing.T) {
	t.Parallel()
	for status, why := range map[string]string{"200": "it answers with a web page", "404": "HTTP 404"} {
		base := serveRaw(t, func(_ int, conn *rawConn) {
			conn.request()
			conn.say("HTTP/1.1 %s c4n4ry\r\nContent-Encoding: UTF-8\r\n\r\n<html>c4n4ry</html>", status)
		})
		err := otpFinalize.make(t, newClient(t, target(t, base)))
		assertFault(t, err, otpFinalize.exchange, inwebo.ErrNoAnswer, inwebo.ErrNotService, why)
	}
}

// A newer pimsd that can decode a kept answer reads it.
func TestReadAnswerThatWasKeptWithItsHead(t *testing.T) {
	t.Parallel()
	document := zipped(finalizeOf(stepFields))
	for name, kept := range map[string]string{
		"whole":  "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n" + document,
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: br, chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(document), document),
	} {
		reading, err := inwebo.ReadAnswer(inwebo.ExchangeOTPFinalize, secret.NewBytes([]byte(kept)))
		if err != nil || !reading.Accepted || reading.Sync.Move.IsEmpty() || !strings.HasPrefix(reading.Sync.ID, "c") {
			t.Errorf("%s: %+v, %v", name, reading, err)
		}
	}
}

// Where chunks have wrong lengths, the document is read with the heads of the chunks in it. None of these is taken for a value.
func TestTheHeadOfAChunkIsNoValue(t *testing.T) {
	whole := finalizeOf("<id></id><Tsync></Tsync><K0></K0><K1></K1><dK1></dK1>")
	for _, name := range []string{"id", "Tsync", "K0", "K1", "dK1"} {
		first, second, _ := strings.Cut(whole, "</"+name+">")
		second = "</" + name + ">" + second
		base := serveRaw(t, func(_ int, conn *rawConn) {
			conn.request()
			conn.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(first), first, len(second)-8, second)
		})
		for exchange, make := range finalized(t, base) { //nolint:predeclared // as in the table of calls
			sync, err := make()
			u, isUnread := errors.AsType[*inwebo.Unreadable](err)
			if !isUnread {
				t.Errorf("%s, %s: %+v, %v; want it unreadable", exchange, name, sync, err)
				continue
			}
			if reading, err := inwebo.ReadAnswer(exchange, u.Answer); !errors.Is(err, inwebo.ErrUnreadable) {
				t.Errorf("%s, %s: read again: %+v, %v; want it unreadable", exchange, name, reading, err)
			}
		}
	}
}
