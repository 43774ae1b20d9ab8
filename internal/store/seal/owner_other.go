//go:build !unix

package seal

import (
	"errors"
	"io/fs"
	"os"
)

// errNotUnix says why no key file is written: without locks and owners, keys could get lost.
var errNotUnix = errors.New("key files are made and changed on Unix only: make one by hand, the base64 of 32 random bytes, or use a setting")

func whileLocked(string, func() error) error { return errNotUnix }

func keepOwner(*os.File, fs.FileInfo) error { return errNotUnix }
