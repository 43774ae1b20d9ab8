package inwebosim

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"time"
)

// httpForms are the odd ways of sending an answer. What the client must go by is the document: once its root is
// closed, the answer is there, whatever HTTP says of its end.
func httpForms() []form {
	return slices.Concat(unfinishedAnswers(), answersOfOtherLooks(), surplusAnswers(), cutAnswers())
}

// sent is a readable form that is made by sending the answer in another way.
func sent(name Form, about string, send func(delivery)) form {
	f := complete(name, about, nil)
	f.send = send
	return f
}

// unfinishedAnswers are whole documents in HTTP answers that are not, or not yet.
func unfinishedAnswers() []form {
	return []form{
		sent("http-close-before-last-chunk", "the connection is closed before the last chunk", func(d delivery) {
			d.seize(func(c wire) { c.write(chunkedHead, chunk(d.body)) })
		}),
		sent("http-reset-before-last-chunk", "the connection is reset before the last chunk", func(d delivery) {
			d.seize(func(c wire) {
				c.write(chunkedHead, chunk(d.body))
				c.reset()
			})
		}),
		sent("http-length-too-long", "Content-Length one too long, then the connection is closed", func(d delivery) {
			d.seize(func(c wire) { c.write(lengthHead(len(d.body)+1), d.body) })
		}),
		sent("http-length-too-long-open", "Content-Length one too long, and the connection stays open", func(d delivery) {
			d.seize(func(c wire) {
				c.write(lengthHead(len(d.body)+1), d.body)
				c.linger()
			})
		}),
		sent("http-length-missing-open", "no length, and the connection stays open", func(d delivery) {
			d.seize(func(c wire) {
				c.write("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n", d.body)
				c.linger()
			})
		}),
		sent("http-1.0", "HTTP/1.0, no length, then the connection is closed", func(d delivery) {
			d.seize(func(c wire) { c.write("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n", d.body) })
		}),
		sent("http-last-chunk-late", "the last chunk comes a minute late, or after Interval", func(d delivery) {
			d.stream(d.body)
			d.wait(time.Minute)
		}),
		sent("http-gzip-unfinished", "gzip that was not asked for, without its end and the last chunk", func(d delivery) {
			d.seize(func(c wire) {
				c.write(strings.Replace(chunkedHead, "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1), chunk(compressed(d.body, false)))
			})
		}),
	}
}

// answersOfOtherLooks are whole HTTP answers with an odd head, or in odd pieces.
func answersOfOtherLooks() []form {
	bomb := sent("http-gzip-too-large", "gzip that was not asked for, with 1 MiB of blanks in front of the end of the root", func(d delivery) {
		end := bytes.LastIndex(d.body, []byte("</"))
		d.w.Header().Set("Content-Encoding", "gzip")
		d.stream(compressed(slices.Concat(d.body[:end], bytes.Repeat([]byte(" "), 1<<20), d.body[end:]), true))
	})
	bomb.Reading = ReadingUnreadable
	return []form{
		bomb,
		sent("http-gzip", "gzip that was not asked for", func(d delivery) {
			d.w.Header().Set("Content-Encoding", "gzip")
			d.whole(compressed(d.body, true))
		}),
		sent("http-status-203", "status 203", func(d delivery) {
			d.status = http.StatusNonAuthoritativeInfo
			d.whole(d.body)
		}),
		sent("http-status-404", "status 404", func(d delivery) {
			d.status = http.StatusNotFound
			d.whole(d.body)
		}),
		sent("http-status-500", "status 500", func(d delivery) {
			d.status = http.StatusInternalServerError
			d.whole(d.body)
		}),
		sent("http-1xx", "three informational answers before the real one", func(d delivery) {
			d.w.WriteHeader(http.StatusContinue)
			d.w.WriteHeader(http.StatusProcessing)
			d.w.Header().Set("Link", "</nothing>")
			d.w.WriteHeader(http.StatusEarlyHints)
			d.whole(d.body)
		}),
		sent("http-content-type-html", "the Content-Type of a web page", func(d delivery) {
			d.contentType = "text/html"
			d.whole(d.body)
		}),
		sent("http-content-type-none", "no Content-Type", func(d delivery) {
			d.w.Header()["Content-Type"] = nil
			d.contentType = ""
			d.whole(d.body)
		}),
		sent("http-chunks-tiny", "chunks of seven bytes", func(d delivery) {
			for piece := range slices.Chunk(d.body, 7) {
				d.stream(piece)
			}
		}),
	}
}

// surplusAnswers are whole HTTP answers on a connection that cannot be used for another. With an Interval the surplus
// comes that much later; no client can tell it from an answer when it has sent its next request by then.
func surplusAnswers() []form {
	return []form{
		sent("http-surplus", "an answer that was not asked for behind the answer, on a connection that stays open", func(d delivery) {
			d.seize(func(c wire) {
				if d.late == 0 {
					c.write(lengthHead(len(d.body)), d.body, surplus)
				} else if c.write(lengthHead(len(d.body)), d.body); d.wait(d.late) {
					c.write(surplus)
				}
				c.linger()
			})
		}),
		sent("http-surplus-after-chunks", "the same behind a chunked answer", func(d delivery) {
			d.seize(func(c wire) {
				c.write(chunkedHead, chunk(d.body), lastChunk, surplus)
				c.linger()
			})
		}),
		sent("http-idle-closed", "the connection is closed with the end of the answer, without notice", func(d delivery) {
			d.seize(func(c wire) {
				cork(c.plain())
				c.write(lengthHead(len(d.body)), d.body)
			})
		}),
		// A reset follows the answer after a moment, in which a client may have sent its next request: so it is made for
		// the last exchange of a conversation.
		sent("http-idle-reset", "the connection is reset behind the answer, without notice", func(d delivery) {
			d.seize(func(c wire) {
				c.write(lengthHead(len(d.body)), d.body)
				c.reset()
			})
		}).at(Match{Action: actionFinalize, Mode: modeMS}, Match{Action: actionFinalize, Mode: modeOTP}),
	}
}

// cutAnswers end before the document does.
func cutAnswers() []form {
	cut := func(name Form, about string, send func(wire, []byte)) form {
		f := sent(name, about, func(d delivery) { d.seize(func(c wire) { send(c, d.body) }) })
		f.Reading = ReadingBegun
		return f
	}
	head := cut("http-cut-head", "the connection is closed in the middle of the head", func(c wire, _ []byte) {
		c.write("HTTP/1.1 200 OK\r\nContent-Ty")
	})
	head.Reading = ReadingCut
	return []form{
		cut("http-cut", "the connection is closed in the middle of the document", func(c wire, body []byte) {
			c.write(lengthHead(len(body)), body[:len(body)/2])
		}),
		cut("http-cut-chunked", "the connection is closed in the middle of the document, behind a whole chunk", func(c wire, body []byte) {
			c.write(chunkedHead, chunk(body[:len(body)/2]))
		}),
		cut("http-cut-last-byte", "the last byte of the document does not come", func(c wire, body []byte) {
			c.write(lengthHead(len(body)), body[:len(body)-1])
		}),
		cut("http-cut-in-comment", "the connection is closed behind a comment that contains the end of the root", func(c wire, body []byte) {
			at := bytes.LastIndex(body, []byte("</"))
			body = slices.Concat(body[:at], []byte("<!-- </ActionSetup></ActionFinalize> -->"), body[at:])
			c.write(lengthHead(len(body)), body[:len(body)-len("</ActionSetup>")])
		}),
		cut("http-cut-reset", "the connection is reset in the middle of the document", func(c wire, body []byte) {
			c.write(lengthHead(len(body)), body[:len(body)/2])
			c.reset()
		}),
		head,
	}
}

// compressed is gzip, with its end or without.
func compressed(body []byte, isFinished bool) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a buffer takes everything
	if isFinished {
		_ = w.Close()
	} else {
		_ = w.Flush()
	}
	return b.Bytes()
}
