package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// shares is a row that tells what a pimsd spends its processor time on, by a profile of a contest.
type shares struct{ contest }

// part is something that pimsd does, and the functions that do it. Parts may lie in one another.
type part struct{ what, functions string }

func parts() []part {
	const audit, sealing = `sqlite\.affects`, `store/seal\.\(\*Keyring\)`
	return []part{
		{"audit lines and sealing together", audit + "|" + sealing},
		{"audit lines, into their table and its index", audit},
		{"sealing and opening devices", sealing},
		{"all writing to the store, syncs included", `sqlite\.\(\*writer\)\.(transact|save)`},
		{"reading keys and records", `sqlite\.\(\*query\)\.row`},
		{"records to JSON and back", `otp\.(Decode|encode)`},
		{"exchanges with inWebo", `internal/inwebo\.|net/http\.\(\*(persistConn|Transport)\)`},
		{"log and metrics of requests", `app\.requestObserver`},
		{"garbage, collected beside and by those who allocate", `runtime\.(gcBgMarkWorker|gcAssistAlloc|bgsweep)`},
		{"in the kernel", `runtime/syscall`},
	}
}

func (s shares) measure(ctx context.Context, l *lab, length float64) (figures, error) {
	if l.profiles == "" {
		defer func() { l.profiles = "" }()
		l.profiles = filepath.Join(l.scratch, "profiles")
		if err := os.MkdirAll(l.profiles, 0o700); err != nil {
			return figures{}, err
		}
	}
	f, err := s.contest.measure(ctx, l, length)
	if err != nil {
		return f, err
	}
	f.Lines = nil // what is measured under a profiler is no figure
	for _, p := range parts() {
		percent, err := shareOf(ctx, filepath.Join(l.profiles, "cpu.pprof"), p.functions)
		if err != nil {
			return f, err
		}
		f.add(p.what, "%", comparison{Values: [2]float64{percent, 0}})
	}
	return f, nil
}

// shareOf is the percentage of the samples of a profile that have one of the functions in their stack.
func shareOf(ctx context.Context, profile, functions string) (float64, error) {
	arguments := []string{"tool", "pprof", "-top", "-nodecount=1000000", "-nodefraction=0", "-focus=" + functions, profile}
	text, err := exec.CommandContext(ctx, "go", arguments...).CombinedOutput() //nolint:gosec // the arguments are ours
	if err != nil {
		return 0, fmt.Errorf("read the profile: %w\n%s", err, text)
	}
	return readShare(string(text))
}

// readShare reads the line of `pprof -top` that says how much of the whole the focus is.
func readShare(text string) (float64, error) {
	shown := regexp.MustCompile(`Showing nodes accounting for \S+, ([\d.]+)% of`).FindStringSubmatch(text)
	if shown == nil {
		return 0, fmt.Errorf("the profile is not understood: %s", text)
	}
	return strconv.ParseFloat(shown[1], 64)
}
