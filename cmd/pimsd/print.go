package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// output is a command's standard output. It remembers the first error of a write, which becomes the command's.
type output struct {
	to  io.Writer
	err error
}

// Write is as io.Writer says.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		err = fmt.Errorf("the output cannot be written: %w", err)
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// printJSON writes a listing as indented JSON.
func printJSON(w io.Writer, listing any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(listing)
}
