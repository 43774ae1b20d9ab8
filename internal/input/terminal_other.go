//go:build !linux && !darwin

package input

import (
	"errors"
	"os"
)

// IsTerminal reports whether a file is a character device, as terminals are.
func IsTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// HideEcho fails: a secret can be given on standard input instead.
func HideEcho(*os.File) (show func(), err error) {
	return nil, errors.New("pimsd cannot hide it on this system; write it as a line of standard input")
}
