//go:build unix

package checkup

import "golang.org/x/sys/unix"

// mayMakeIn tells whether this user may make files in the folder; fs.ErrNotExist when it is not there.
func mayMakeIn(folder string) error { return unix.Access(folder, unix.W_OK|unix.X_OK) }
