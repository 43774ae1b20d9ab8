package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"
)

// baselineOrder is what the baseline's process reads at its start.
type baselineOrder struct {
	Inwebo  string // its base URL
	Journal string // a file that it makes
	Write   int    // bytes of the write before the exchanges, and of that after them
	Profile profile
}

// runBaseline is the least that a service can do for an OTP: a handler that writes that it is going to ask, asks inWebo the
// two questions as a device would, writes that it has asked, and answers always the same. It keeps the device's keys in
// memory and computes only what inWebo must see to answer as it answers pimsd. It ends with ctx.
func runBaseline(ctx context.Context, orders io.Reader, answers io.Writer) error {
	var order baselineOrder
	if err := json.NewDecoder(orders).Decode(&order); err != nil {
		return err
	}
	memory, err := openJournal(order.Journal)
	if err != nil {
		return err
	}
	f := &baseline{
		memory: memory, write: make([]byte, order.Write),
		base: order.Inwebo + "/iwws/MAC?", devices: make(map[string]*baselineDevice, order.Profile.Count),
		transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true},
	}
	for i := range order.Profile.Count {
		f.devices[order.Profile.account(i)] = newBaselineDevice(order.Profile.device(i))
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+otpPath, f.serve)
	mux.HandleFunc("GET /allocations", serveAllocations)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: processTimeout}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := json.NewEncoder(answers).Encode(listener.Addr().String()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// baseline is the service.
type baseline struct {
	memory    *journal
	write     []byte
	base      string
	transport *http.Transport
	devices   map[string]*baselineDevice
}

// constantAnswer has the size of a real one.
const constantAnswer = `{"transactionId":"00000000-0000","status":"SUCCEEDED","result":{"otp":"aaaaaaaa"}}`

func (f *baseline) serve(w http.ResponseWriter, r *http.Request) {
	if err := f.otp(r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, constantAnswer)
}

func (f *baseline) otp(r *http.Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	account := r.Header.Get("X-Pims-Account")
	d := f.devices[account]
	if d == nil {
		return errors.New("no such account")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := f.memory.append(f.write); err != nil {
		return err
	}
	answer, err := f.exchange(r.Context(), d.setup())
	if err != nil {
		return err
	}
	answer, err = f.exchange(r.Context(), d.finalize(textOf(answer, "challenge")))
	if err != nil {
		return err
	}
	d.step(textOf(answer, "dK1"))
	return f.memory.append(f.write)
}

// exchange asks inWebo one question. An answer that is not OK is an error.
func (f *baseline) exchange(ctx context.Context, query string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+query, nil)
	if err != nil {
		return nil, err
	}
	response, err := f.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && textOf(text, "err") != "OK" {
		return nil, fmt.Errorf("inWebo answers %s", text)
	}
	return text, err
}

// textOf returns the text of an element.
func textOf(document []byte, name string) string {
	_, rest, _ := bytes.Cut(document, []byte("<"+name+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+name+">"))
	return string(text)
}

// allocations is what a process has allocated since its start.
type allocations struct{ Objects, Bytes float64 }

func serveAllocations(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_ = json.NewEncoder(w).Encode(allocations{ //nolint:errchkjson // two numbers do not fail
		float64(m.Mallocs), float64(m.TotalAlloc)})
}
