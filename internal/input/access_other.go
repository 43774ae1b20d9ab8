//go:build !unix

package input

import "os"

// MayMakeIn returns nil when the folder is there; what this user may do in it shows when a file is made.
func MayMakeIn(folder string) error {
	_, err := os.Stat(folder)
	return err
}
