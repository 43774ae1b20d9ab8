//go:build !unix

package sqlite

import (
	"io"
	"os"
)

// lockAlone does nothing: there is no lock that other processes respect.
func lockAlone(*os.File) error { return nil }

// ownAs does nothing: files have no owner that matters.
func ownAs(*os.File, string) error { return nil }

// lockRaw opens the file, which keeps other processes from replacing it.
func lockRaw(path string) (io.Closer, error) { return os.OpenFile(path, os.O_RDWR, 0) }
