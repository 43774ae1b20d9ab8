package inwebo_test

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
)

const plainAnswer = `<?xml version="1.0" encoding="UTF-8"?><ActionFinalize><err>OK</err><defi>1234567890</defi>` +
	`<dK1>00112233445566778899aabbccddeeff</dK1></ActionFinalize>`

// BenchmarkExchange makes the two exchanges of an OTP over loopback, on a connection that is used again. The server is part
// of what is measured, and does next to nothing.
func BenchmarkExchange(b *testing.B) {
	serve := func(_ int, conn *rawConn) {
		setup, finalize := []byte(withLength(declaration+otpSetup.answer)), []byte(withLength(plainAnswer))
		for request := make([]byte, 4<<10); ; {
			for _, answer := range [][]byte{setup, finalize} {
				if _, err := conn.Conn.Read(request); err != nil {
					return
				}
				_, _ = conn.Write(answer)
			}
		}
	}
	ours := newAuthority(b)
	certificate := ours.issue(b, loopback())
	for name, base := range map[string]string{
		"plain": serveRaw(b, serve),
		"TLS": "https" + serveRaw(b, func(n int, conn *rawConn) {
			serve(n, &rawConn{Conn: tls.Server(conn.Conn, &tls.Config{Certificates: []tls.Certificate{certificate}})})
		})[len("http"):],
	} {
		b.Run(name, func(b *testing.B) {
			config := target(b, base)
			config.RootCAs = ours.pool()
			c := inwebo.New(config)
			defer c.Close()
			b.ReportAllocs()
			for b.Loop() {
				if err := otpSetup.do(context.Background(), c, ""); err != nil {
					b.Fatal(err)
				}
				if err := otpFinalize.do(context.Background(), c, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
