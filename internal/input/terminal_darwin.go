package input

import "golang.org/x/sys/unix"

// The requests that read and set how a terminal behaves.
const (
	readTermios  = unix.TIOCGETA
	writeTermios = unix.TIOCSETA
)
