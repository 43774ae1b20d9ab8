package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// simulatorAddresses are what the simulator's process says when it serves.
type simulatorAddresses struct{ Protocol, Control string }

// runSimulator is the simulated inWebo, with the default knobs and no memory of requests. Each line of orders is a fleet,
// which it plants and answers with a line. It ends with ctx.
func runSimulator(ctx context.Context, orders io.Reader, answers io.Writer) error {
	s, err := inwebosim.New(inwebosim.Options{Seed: 1, HistoryLimit: -1})
	if err != nil {
		return err
	}
	s.Start()
	answer := json.NewEncoder(answers)
	if err := answer.Encode(simulatorAddresses{s.ProtocolURL(), s.ControlURL()}); err != nil {
		return err
	}
	for order := json.NewDecoder(orders); ; {
		var f profile
		switch err := order.Decode(&f); {
		case errors.Is(err, io.EOF):
			<-ctx.Done()
			return s.Stop(context.WithoutCancel(ctx))
		case err != nil:
			return err
		}
		for i := range f.Count {
			if err := s.PlantDevice(f.device(i)); err != nil {
				return err
			}
		}
		if err := answer.Encode(f.Count); err != nil {
			return err
		}
	}
}

// simulator is that process, seen from outside.
type simulator struct {
	*process
	addresses simulatorAddresses
	answers   *json.Decoder
}

func (l *env) startSimulator(ctx context.Context) (*simulator, error) {
	p, err := l.start(ctx, "simulator", nil, l.self, roleSimulator)
	if err != nil {
		return nil, err
	}
	s := &simulator{process: p, answers: json.NewDecoder(bufio.NewReader(p.stdout))}
	if err := s.answers.Decode(&s.addresses); err != nil {
		return nil, errors.Join(fmt.Errorf("the simulator does not start: %w", err), p.stop())
	}
	return s, nil
}

// plant makes the devices of the fleet known.
func (s *simulator) plant(f profile) error {
	if err := json.NewEncoder(s.stdin).Encode(f); err != nil {
		return err
	}
	var count int
	if err := s.answers.Decode(&count); err != nil {
		return fmt.Errorf("the simulator plants no devices: %w", err)
	}
	return nil
}

// delay makes each exchange from now on take so much longer.
func (s *simulator) delay(ctx context.Context, d time.Duration) error {
	if err := s.control(ctx, http.MethodDelete, "/faults", nil, nil); err != nil || d == 0 {
		return err
	}
	return s.control(ctx, http.MethodPost, "/faults",
		inwebosim.Fault{Kind: inwebosim.KindDelay, Times: -1, Delay: inwebosim.Duration(d)}, nil)
}

// issued is how many OTPs it has issued in all.
func (s *simulator) issued(ctx context.Context) (int, error) {
	var totals inwebosim.Counters
	err := s.control(ctx, http.MethodGet, "/totals", nil, &totals)
	return int(totals.Issued), err
}

// control calls the simulator's control listener.
func (s *simulator) control(ctx context.Context, method, path string, body, answer any) error {
	return call(ctx, method, s.addresses.Control+path, body, readJSON(answer))
}

// readJSON returns what reads an answer; nothing where none is wanted.
func readJSON(answer any) func(io.Reader) error {
	return func(body io.Reader) error {
		if answer == nil {
			return nil
		}
		return json.NewDecoder(body).Decode(answer)
	}
}

// call makes a request with a body of JSON, and has the answer read unless that is an error.
func call(ctx context.Context, method, url string, body any, read func(io.Reader) error) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: processTimeout}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s answers %s", method, request.URL.Path, response.Status)
	}
	return read(response.Body)
}
