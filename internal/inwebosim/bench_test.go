package inwebosim

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// nowhere takes an answer and keeps its body.
type nowhere struct {
	header http.Header
	body   []byte
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { w.body = append(w.body[:0], b...); return len(b), nil }
func (w *nowhere) WriteHeader(int)             {}

// BenchmarkOTP is one conversation, two exchanges, without sockets; the client's own work is in it.
func BenchmarkOTP(b *testing.B) {
	s := with(b, func(*Knobs) {})
	c := enrolled(b, s)
	handler, w := s.Handler(), &nowhere{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/iwws/MAC?"+c.setupParams().Encode(), nil))
		r, err := parseReply("ActionSetup", w.body)
		if err != nil {
			b.Fatal(err)
		}
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/iwws/MAC?"+c.finalizeParams(r.one("challenge"), c.pin).Encode(), nil))
		if r, err = parseReply("ActionFinalize", w.body); err != nil || c.apply(r) != nil || r.one("err") != "OK" {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkSetupExchange is one exchange without sockets and without a client.
func BenchmarkSetupExchange(b *testing.B) {
	s := with(b, func(*Knobs) {})
	c := enrolled(b, s)
	handler, w := s.Handler(), &nowhere{header: http.Header{}}
	request := httptest.NewRequest(http.MethodGet, "/iwws/MAC?"+c.setupParams().Encode(), nil)
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, request)
	}
}

// BenchmarkFinalizeExchange is a refused finalize: all the proofs, no movement.
func BenchmarkFinalizeExchange(b *testing.B) {
	s := with(b, func(k *Knobs) { k.WrongLimit = 0 })
	c := enrolled(b, s)
	handler, w := s.Handler(), &nowhere{header: http.Header{}}
	request := httptest.NewRequest(http.MethodGet, "/iwws/MAC?"+c.finalizeParams("5", c.pin).Encode(), nil)
	d := s.registry.find(c.id)
	b.ReportAllocs()
	for b.Loop() {
		d.isAwaiting = true
		handler.ServeHTTP(w, request)
	}
}

// BenchmarkSocket is one conversation over a socket, the client in the same process.
func BenchmarkSocket(b *testing.B) {
	s := with(b, func(*Knobs) {})
	c := enrolled(b, s)
	for b.Loop() {
		if _, err := c.otp(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlant tells what a device costs in time and, by B/op, in memory.
func BenchmarkPlant(b *testing.B) {
	s := with(b, func(*Knobs) {})
	planted := Device{PIN: "1234", Secret: randomHex(16), K0: randomHex(16), K1: randomHex(16), Services: []string{"7"}}
	alea := "/_/" + randomHex(16)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		planted.ID = strconv.Itoa(i)
		planted.Serial = planted.ID + alea
		if err := s.PlantDevice(planted); err != nil {
			b.Fatal(err)
		}
	}
}
