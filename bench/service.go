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
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

// service is a pimsd on prefilled accounts.
type service struct {
	*process
	api, ops string        // host:port
	ready    time.Duration // from its start until it said that it is ready
}

// serve starts the program pimsd on the prefilled accounts and waits until it is ready. With profiles, it is one that writes them at its
// end.
func (l *env) serve(ctx context.Context, pimsd string, s *dataset) (*service, error) {
	environ := append([]string{"PIMSD_LISTEN=127.0.0.1:0", "PIMSD_OPS_LISTEN=127.0.0.1:0"}, s.environ...)
	program := []string{pimsd, "serve"}
	if l.profileDir != "" {
		program = []string{l.self, roleService, l.profileDir}
		environ = append(environ, "GOGC=300") // what garbageRoom of the command comes to for 64 callers
	}
	began := time.Now()
	p, err := l.start(ctx, "pimsd", environ, program[0], program[1:]...)
	if err != nil {
		return nil, err
	}
	v := &service{process: p}
	for !v.findDoors() || !isReady(ctx, v.ops) {
		select {
		case <-p.ended:
			return nil, v.stop()
		case <-time.After(time.Millisecond):
		}
		if time.Since(began) > processTimeout {
			return nil, errors.Join(errors.New("pimsd does not get ready"), v.stop())
		}
	}
	v.ready = time.Since(began)
	return v, nil
}

// findDoors finds the addresses of a service in its log, if they are there by now.
func (v *service) findDoors() bool {
	if v.ops != "" {
		return true
	}
	text, _ := os.ReadFile(v.log) // what cannot be read yet, may be a millisecond later
	for line := range bytes.Lines(text) {
		var serving struct{ Message, Listen, Ops string }
		if json.Unmarshal(line, &serving) == nil && serving.Message == "serving" {
			v.api, v.ops = serving.Listen, serving.Ops
		}
	}
	return v.ops != ""
}

func isReady(ctx context.Context, ops string) bool {
	return call(ctx, http.MethodGet, "http://"+ops+"/readyz", nil, readJSON(nil)) == nil
}

// counted is what a service has counted of itself since its start.
type counted struct {
	allocations
	Commits float64 // writes of records that became durable
	// RoundTrips are those to the database, and Log the bytes of the server's write-ahead log; zero for a store without a server.
	RoundTrips, Log float64
}

// count reads the service's metrics.
func (v *service) count(ctx context.Context) (c counted, err error) {
	err = call(ctx, http.MethodGet, "http://"+v.ops+"/metrics", nil, func(text io.Reader) (err error) {
		c, err = readMetrics(text)
		return err
	})
	return c, err
}

func readMetrics(text io.Reader) (c counted, err error) {
	for lines := bufio.NewScanner(text); ; {
		if !lines.Scan() {
			return c, lines.Err()
		}
		name, number, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil: // a comment
		case name == "go_memstats_mallocs_total":
			c.Objects = value
		case name == "go_memstats_alloc_bytes_total":
			c.Bytes = value
		case strings.HasPrefix(name, "pimsd_commits_total{") && strings.Contains(name, `outcome="done"`):
			c.Commits += value
		}
	}
}

// runService is `pimsd serve`, with its profiles in the folder at its end.
func runService(ctx context.Context, environ []string, folder string, log io.Writer) error {
	c, err := config.Load(config.Input{Environ: environ, ReadFile: os.ReadFile, Root: os.Geteuid() == 0})
	if err != nil {
		return err
	}
	runtime.SetBlockProfileRate(10_000)
	runtime.SetMutexProfileFraction(10)
	cpu, err := os.Create(filepath.Join(folder, "cpu.pprof")) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	a, err := app.New(ctx, c, log)
	if err == nil {
		err = a.Run(ctx)
	}
	pprof.StopCPUProfile()
	err = errors.Join(err, cpu.Close())
	for _, name := range []string{"allocs", "block", "mutex"} {
		err = errors.Join(err, writeProfile(name, folder))
	}
	return err
}

func writeProfile(name, folder string) error {
	file, err := os.Create(filepath.Join(folder, name+".pprof")) //nolint:gosec // the same
	if err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	return errors.Join(pprof.Lookup(name).WriteTo(file, 0), file.Close())
}
