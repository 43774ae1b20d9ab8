package app

import (
	"errors"
	"fmt"
	"slices"
)

// undo is a stack of what has been built, by name, to be taken down in reverse.
type undo []layer

type layer struct {
	name string
	down func() error
}

func (u *undo) push(name string, down func() error) { *u = append(*u, layer{name, down}) }

// all takes everything down, whatever fails on the way. A second call finds nothing left.
func (u *undo) all() error {
	var failed []error
	for _, layer := range slices.Backward(*u) {
		if err := layer.down(); err != nil {
			failed = append(failed, fmt.Errorf("stop %s: %w", layer.name, err))
		}
	}
	*u = nil
	return errors.Join(failed...)
}
