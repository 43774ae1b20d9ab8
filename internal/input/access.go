package input

import "golang.org/x/sys/unix"

// MayMakeIn returns nil when this user may make files in the folder, and fs.ErrNotExist when it is not there.
func MayMakeIn(folder string) error { return unix.Access(folder, unix.W_OK|unix.X_OK) }
