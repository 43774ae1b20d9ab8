package app

import (
	"errors"
	"fmt"
	"slices"
)

// closers are the parts of the service in the order in which they were opened. all closes them in reverse.
type closers []closer

type closer struct {
	name  string
	close func() error
}

func (u *closers) push(name string, end func() error) { *u = append(*u, closer{name, end}) }

// all closes every part, also after one of them failed, and returns the joined errors. A second call closes nothing.
func (u *closers) all() error {
	var failed []error
	for _, part := range slices.Backward(*u) {
		if err := part.close(); err != nil {
			failed = append(failed, fmt.Errorf("stop %s: %w", part.name, err))
		}
	}
	*u = nil
	return errors.Join(failed...)
}
