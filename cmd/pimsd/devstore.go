package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/input"
)

// installationSettings begin the names of the variables that say where an installation keeps its devices and whom it talks to.
// `pimsd dev` takes no notice of them.
func installationSettings() []string {
	return []string{
		"PIMSD_CONFIG=", "PIMSD_DATA_DIR=", "PIMSD_DATABASE_URL", "PIMSD_SEAL_", "PIMSD_TLS_", "PIMSD_JWT_", "PIMSD_INWEBO_", "PIMSD_TRACES_",
	}
}

// devEnviron is the environment without what concerns an installation. Listeners stay on their ports and move to loopback.
func devEnviron(environ []string) (own []string) {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case slices.ContainsFunc(installationSettings(), func(prefix string) bool { return strings.HasPrefix(entry, prefix) }):
		case name == "PIMSD_LISTEN" || name == "PIMSD_OPS_LISTEN":
			own = append(own, name+"="+onLoopback(value))
		default:
			own = append(own, entry)
		}
	}
	return own
}

// onLoopback is the same port on loopback. What is no host:port stays as it is.
func onLoopback(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if address, err := netip.ParseAddr(host); err == nil && address.IsLoopback() || host == "localhost" {
		return listen
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// makeDevStore makes an empty data directory: in the folder for temporary files or, where there is none to write to (the image has only
// its data directory), in the data directory of the installation, whose files it leaves alone.
func makeDevStore(environ []string) (string, error) {
	dir, err := os.MkdirTemp("", "pimsd-dev-")
	if err == nil {
		return dir, nil
	}
	if installed, given := input.LookupEnv(environ, "PIMSD_DATA_DIR"); given {
		if dir, err := os.MkdirTemp(installed, "pimsd-dev-"); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("make a temporary data directory: %w; name a folder that can be written to with --data-dir", err)
}

// devMarker is the file that marks a data directory which `pimsd dev` has made.
const devMarker = "made-by-pimsd-dev"

// checkDevStore refuses a data directory that `pimsd dev` has not made, and that is neither missing nor empty: it could hold real
// devices, one of them under the name of the demo account.
func checkDevStore(dir string) error {
	found, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(found) == 0:
		return nil
	case err != nil:
		return fmt.Errorf("--data-dir: %w", err)
	case slices.ContainsFunc(found, func(e fs.DirEntry) bool { return e.Name() == devMarker }):
		return nil
	default:
		return usageError{fmt.Errorf("--data-dir: %s holds something that pimsd dev did not make, and may be the devices of an installation: "+
			"name a new or an empty folder", dir)}
	}
}

// markDevStore marks the data directory, once there is a store in it: no store is made where there is a file already.
func markDevStore(dir string) error {
	const text = "pimsd dev made this folder. It holds a demonstration, and no real device.\n"
	return os.WriteFile(filepath.Join(dir, devMarker), []byte(text), 0o600)
}
