//go:build !linux && !darwin

package main

import "errors"

// hideEcho fails: a secret can be given on standard input instead.
func hideEcho(int) (show func(), err error) {
	return nil, errors.New("pimsd cannot hide it on this system; write it as a line of standard input")
}
