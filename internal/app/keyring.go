package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// sealKeysSetting is the key of the setting with the sealing keys.
const sealKeysSetting = "seal.keys"

// openKeyring returns the keys that the store is sealed with: those of the setting, or of a file in the data directory. With
// create that file is made when the store is empty.
func openKeyring(ctx context.Context, c *config.Config, store Store, create bool) (*seal.Keyring, error) {
	file, err := keyFile(c)
	if err != nil || file == "" || !create || c.FileOf(sealKeysSetting) != "" {
		return OpenKeyring(c)
	}
	first, err := store.List(ctx, "", 1)
	if err != nil {
		return nil, err
	}
	return seal.OpenFile(file, len(first) == 0)
}

// OpenKeyring returns the sealing keys that the configuration names, which must exist.
func OpenKeyring(c *config.Config) (*seal.Keyring, error) {
	file, err := keyFile(c)
	switch {
	case err != nil:
		return nil, err
	case file == "":
		return seal.FromText(sealKeysSetting, c.Seal.Keys)
	default:
		return seal.OpenFile(file, false)
	}
}

// keyFile is the file that the sealing keys are in; empty when the setting itself has them.
func keyFile(c *config.Config) (string, error) {
	switch file := c.FileOf(sealKeysSetting); {
	case file != "":
		return file, nil
	case !c.Seal.Keys.IsEmpty():
		return "", nil
	case !c.DatabaseURL.IsEmpty():
		return "", errors.New("seal.keys is missing: with PostgreSQL every replica needs the same sealing keys; " +
			"make one with `head -c 32 /dev/urandom | base64`, keep it safe, and copy it to all of them")
	default:
		return filepath.Join(c.DataDir, seal.FileName), nil
	}
}

// checkKeyring finds out before anything is sealed whether the keyring has the key that the store is sealed under. A process that
// serves records its own current key, so that later ones can be compared with it.
func checkKeyring(ctx context.Context, keyring *seal.Keyring, store Store, serves bool) error {
	if serves {
		return keyring.Agree(ctx, store)
	}
	return keyring.CheckCurrent(ctx, store)
}
