package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

func newStore(p process) *cobra.Command {
	return newGroup("store", "Back up, restore and move what pimsd keeps",
		newStoreBackup(p), newStoreRestore(p), newStoreCopy(p))
}

func newStoreCopy(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy --to-url-file FILE [--prefix PREFIX [--enable]]",
		Short: "Copy the SQLite store, or move accounts, into a PostgreSQL database, and compare",
		Long: `Copy accounts, API keys and the audit log of the SQLite store into an empty PostgreSQL database, read everything back and
compare it.

Stop the service first, which is checked, or put it into maintenance (PIMSD_MAINTENANCE=yes): two stores of one device tear its
ratchet apart. Afterwards configure the service with the URL (database_url) and the same sealing keys (seal.keys), and start it.

With --prefix, move the accounts whose names begin with PREFIX (fleet-1 includes fleet-10, as it does not for an API key) from one
PostgreSQL database (database_url) to another one, which the services of both may use meanwhile. Disable the accounts first (pimsd
account disable). Each account is copied and compared, and only then is its device forgotten in the first database. With --enable the
account is then enabled in the other one. API keys that are valid for these accounts alone are copied, and the audit log is not. If the
command is interrupted, run it again to continue.`,
	}
	prefix := cmd.Flags().String("prefix", "", "move the accounts whose names begin with `PREFIX`, from PostgreSQL to PostgreSQL")
	enable := cmd.Flags().Bool("enable", false, "with --prefix: enable each account where it was moved to")
	file := cmd.Flags().String("to-url-file", "", "the `file` that holds the postgres:// URL to copy to (required)")
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		t := app.Transfer{Prefix: *prefix, Enable: *enable, Caller: caller}
		if err := checkTransfer(cmd, c, t); err != nil {
			return usageError{err}
		}
		var err error
		if t.URL, err = p.readURLFile(*file); err != nil {
			return usageError{err}
		}
		if t.Prefix != "" {
			return p.movePrefix(cmd, c, t)
		}
		return copyStore(cmd, c, t.URL)
	})
}

// checkTransfer returns why the flags and settings of a copy do not fit each other.
func checkTransfer(cmd *cobra.Command, c *config.Config, t app.Transfer) error {
	_, err := otp.ParseStoredAccount(t.Prefix)
	switch {
	case cmd.Flags().Changed("prefix") && err != nil:
		return fmt.Errorf("--prefix %q: no account has a name that begins so", t.Prefix)
	case t.Enable && t.Prefix == "":
		return errors.New("--enable is for accounts that are moved: add --prefix")
	case t.Prefix == "" && !c.DatabaseURL.IsEmpty():
		return errors.New("database_url is set: the store that is copied is the SQLite one in data_dir; unset it for this command")
	}
	return nil
}

// readURLFile reads the URL of the database that --to-url-file names.
func (p process) readURLFile(file string) (secret.Text, error) {
	if file == "" {
		return secret.Text{}, errors.New("--to-url-file is missing: name the file that holds the URL of the database")
	}
	text, err := readSecretFile(file)
	if err != nil {
		return secret.Text{}, fmt.Errorf("--to-url-file: %w", err)
	}
	if warning := input.SecretFileWarning(file); warning != "" {
		p.warn("--to-url-file: " + warning)
	}
	url, err := config.ParseDatabaseURL(string(input.Trim(text)))
	if err != nil {
		return secret.Text{}, fmt.Errorf("--to-url-file: the URL %w", err)
	}
	return url, nil
}

// actionStoreCopy is the audit log's word for both kinds of copies.
const actionStoreCopy = "store-copy"

// copyStore copies the store into another database.
func copyStore(cmd *cobra.Command, c *config.Config, to secret.Text) error {
	if err := app.CheckStopped(cmd.Context(), c); err != nil {
		return err
	}
	return withRecords(cmd, c, func(core *app.Core) error {
		var copied app.Copied
		err := core.Audited(cmd.Context(), otp.Request{Caller: caller}, actionStoreCopy, func() (err error) {
			copied, err = core.CopyToPostgres(cmd.Context(), to)
			return err
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Copied and compared: %s, %s of the audit log, %s.\n",
			input.Count(copied.Accounts, "account"), input.Count(copied.Lines, "line"), input.Count(copied.Keys, "API key"))
		return err
	})
}

// progressEvery is the number of accounts after which a transfer reports its progress again.
const progressEvery = 1000

// movePrefix moves accounts to another database.
func (p process) movePrefix(cmd *cobra.Command, c *config.Config, t app.Transfer) error {
	t.Progress = func(done, all int) {
		if done%progressEvery == 0 {
			_, _ = fmt.Fprintf(p.stderr, "pimsd: %d of %d accounts are moved\n", done, all)
		}
	}
	return withRecords(cmd, c, func(core *app.Core) error {
		var moved int
		err := core.Audited(cmd.Context(), otp.Request{Caller: caller}, actionStoreCopy, func() (err error) {
			moved, err = core.TransferPrefix(cmd.Context(), c, t)
			return err
		})
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Copied, compared, and forgotten here: %s.\n", input.Count(moved, "account"))
		}
		return err
	})
}
