package replicatest_test

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// clock is a clock that can be stepped while several processes use it: a file with how far it is ahead of the machine's. There is no file
// before the first step.
type clock string

// now returns the time of the clock.
func (c clock) now() time.Time {
	text, err := os.ReadFile(string(c))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Now()
	}
	ahead, err := time.ParseDuration(string(text))
	if err != nil {
		panic(err) // step writes what can be parsed
	}
	return time.Now().Add(ahead)
}

// step sets how far the clock is ahead of the machine's, at once for all processes.
func (c clock) step(ahead time.Duration) error {
	next := string(c) + ".next"
	if err := os.WriteFile(next, []byte(ahead.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, string(c))
}
