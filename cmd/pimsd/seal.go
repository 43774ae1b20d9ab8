package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
)

func newSeal(p process) *cobra.Command {
	return newGroup("seal", "See and rotate the keys that seal the devices at rest",
		newSealList(p), newSealRotate(p), newSealRemove(p))
}

// sealingKey is one key in the listing.
type sealingKey struct {
	ID      seal.KeyID `json:"id"`
	Use     string     `json:"use"` // current, opens, missing, …
	Records int        `json:"records"`
}

func newSealList(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the sealing keys, and how many records each of them seals",
		Long: `List the sealing keys: the current one, those that still open records, and those that records need and that are missing.

A key that seals no record may go, when no backup that you may need was made with it: pimsd seal remove. Where keys are missing,
or cannot be read, it lists those that the records need, and ends with status 1.`,
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		return withRecords(cmd, c, func(core *app.Core) error {
			usage, err := seal.Count(cmd.Context(), core.Store)
			if err != nil {
				return err
			}
			keyring, unread := app.OpenKeyring(c)
			var known []seal.KeyID
			if unread == nil {
				known = keyring.Keys()
			}
			keys := sealingKeys(known, usage)
			if err := show(cmd.OutOrStdout(), *asJSON, keys, printSealingKeys); err != nil {
				return err
			}
			return missingKeys(keys, unread)
		})
	})
}

// useMissing is the use of a key that records need and the keyring does not have.
const useMissing = "missing"

// missingKeys returns what is wrong with the listed keys. unread is why the keyring could not be read, or nil.
func missingKeys(keys []sealingKey, unread error) error {
	if unread != nil {
		return advised{fmt.Errorf("the sealing keys cannot be read: %v", unread), adviceKeys} //nolint:errorlint // no fault of the command line
	}
	records := 0
	for _, key := range keys {
		if key.Use == useMissing {
			records += key.Records
		}
	}
	if records > 0 {
		return advised{fmt.Errorf("the keys of %s are missing", input.Count(records, "record")), adviceKeys}
	}
	return nil
}

const adviceKeys = "Put the right key file back, or set seal.keys to the lines that the store was sealed with."

func sealingKeys(known []seal.KeyID, usage seal.KeyUsage) []sealingKey {
	keys := []sealingKey{}
	for i, id := range known {
		use := "opens"
		if i == 0 {
			use = "current"
		}
		keys = append(keys, sealingKey{id, use, usage[id]})
	}
	for _, id := range usage.Keys() {
		if !slices.Contains(known, id) {
			key := sealingKey{id, useMissing, usage[id]}
			if id == seal.Unsealed {
				key.ID, key.Use = "-", "damaged, or not sealed"
			}
			keys = append(keys, key)
		}
	}
	return keys
}

func printSealingKeys(w io.Writer, keys []sealingKey) error {
	table := newTable(w, "KEY\tUSE\tRECORDS")
	for _, key := range keys {
		printRow(table, key.ID, key.Use, key.Records)
	}
	return table.Flush()
}

func newSealRotate(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Reseal every record under a new key while the service runs",
		Long: `Make a new sealing key, make it the current one, and reseal every record under it while the service runs, which
follows the key file by itself. Records that are held are waited for. What is interrupted goes on, with the key that it has
made, when it is run again.

Where several processes are given the keys by other means than one file, it takes two rounds, so that no process meets a key
that it does not have: add the new key to all of them, behind the others; then move it to the front, for all of them; then
run this with --no-new-key.`,
	}
	noNewKey := cmd.Flags().Bool("no-new-key", false, "seal under the key that is the current one already")
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		return withCore(cmd, c, func(core *app.Core) error {
			sealed := 0
			rotation := seal.Rotation{
				Rows: core.Store, Store: core.Store, Keyring: core.Keyring, Caller: caller,
				Progress: func(done seal.Progress) {
					sealed = done.Sealed
					_, _ = fmt.Fprintf(p.stderr, "pimsd: sealed %d of %d found, %d held or just changed\n", done.Sealed, done.Found, done.Waiting)
				},
			}
			err := core.Audited(cmd.Context(), otp.Request{Caller: caller}, "seal-rotate", func() error {
				if !*noNewKey {
					if err := addKey(core.Keyring); err != nil {
						return err
					}
				}
				if err := core.Keyring.Agree(cmd.Context(), core.Store); err != nil {
					return err
				}
				err := rotation.Run(cmd.Context())
				if cmd.Context().Err() != nil { // another run goes on with the key
					return err
				}
				return errors.Join(err, core.Keyring.EndRotation())
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Resealed %s; all are under key %s.\n", input.Count(sealed, "record"), core.Keyring.Current())
			return err
		})
	})
}

// addKey makes a key the current one that it puts into the keyring's file, or that an interrupted rotation has put there.
func addKey(keyring *seal.Keyring) error {
	key, err := seal.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	id, err := keyring.BeginRotation(key)
	if err == nil && id != keyring.Current() {
		err = keyring.Promote(id)
	}
	if errors.Is(err, seal.ErrNoKeyFile) {
		return usageError{err}
	}
	return err
}

func newSealRemove(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a sealing key that nothing needs any more",
		Long: `Remove a sealing key from the key file. The current key is refused, and so is one that a record or a kept answer in the
store needs.

Backups that were made while the key was in use cannot be opened without it: keep a copy of the key for as long as you keep
them. The command takes some seconds after a change of the key file, for writes that are still on their way.`,
		Example: `  pimsd seal remove 1f8a03c7`,
	}
	sure := cmd.Flags().Bool("yes", false, "do not ask whether it is meant")
	cmd.Args = oneKey
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		args := cmd.Flags().Args()
		id := seal.KeyID(args[0])
		return withCore(cmd, c, func(core *app.Core) error {
			if !*sure {
				question := fmt.Sprintf("Backups that were made while key %s was in use cannot be opened without it. Type %[1]s to remove it: ", id)
				if err := p.confirm(cmd.Context(), question, args[0]); err != nil {
					return err
				}
			}
			err := core.Audited(cmd.Context(), otp.Request{Caller: caller}, "seal-remove "+args[0], func() error {
				return core.Keyring.RemoveUnused(cmd.Context(), core.Store, id)
			})
			switch {
			case errors.Is(err, seal.ErrNoKeyFile):
				return usageError{err}
			case err != nil:
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Key %s is removed. Backups from before may need it.\n", id)
			return err
		})
	})
}

// oneKey checks the argument of seal remove.
func oneKey(_ *cobra.Command, args []string) error {
	if len(args) != 1 || !seal.IsKeyID(args[0]) {
		return usageError{errors.New("name one key by its id of 8 hexadecimal digits: pimsd seal list has them")}
	}
	return nil
}
