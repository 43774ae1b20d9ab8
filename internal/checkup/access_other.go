//go:build !unix

package checkup

import "os"

// mayMakeIn tells whether the folder is there; what this user may do in it shows when the service starts.
func mayMakeIn(folder string) error {
	_, err := os.Stat(folder)
	return err
}
