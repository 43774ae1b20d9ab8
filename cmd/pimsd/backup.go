package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

// standardStream is the argument that names standard input or output instead of a file.
const standardStream = "-"

func newStoreBackup(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Back up the SQLite store, also while the service runs",
		Long: `Write a copy of the SQLite store to a new FILE, which only its owner can read, while the service goes on. The copy has everything
that was stored when the command began. It is checked, and durable when the command ends with status 0; a file that exists is not
replaced, and an unfinished copy never has the name FILE.

With - the copy goes to standard output when it is complete; it takes room in the data directory until then. The shell makes that
file: set umask 077 before, so that no other user can read it.

The copy does not contain the sealing keys (seal.keys): back them up apart from it. Without them the copy is worth nothing.`,
		Example: `  pimsd store backup /backup/pimsd.db
  kubectl exec svc/NAME-pimsd -- /pimsd store backup - > pimsd.db`,
	}
	cmd.Args = oneCopy
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) (err error) {
		args := cmd.Flags().Args()
		if err := refusePostgres(c, adviceBackup); err != nil {
			return err
		}
		if file := fileOf(p.stdout); args[0] == standardStream && file != nil && input.IsTerminal(file) {
			return usageError{errors.New("standard output is a terminal, which shows no database: redirect it to a file")}
		}
		ctx := cmd.Context()
		store, err := app.OpenSQLite(ctx, c)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		report := func(done, total int64) {
			_, _ = fmt.Fprintf(p.stderr, "pimsd: %d of about %d MiB copied\n", done>>20, total>>20)
		}
		return (&app.Core{Store: store}).Audited(ctx, otp.Request{Caller: caller}, "store-backup", func() error {
			began := time.Now()
			if args[0] == standardStream {
				warnIfShared(p.stderr, p.stdout)
				err = app.StreamBackup(ctx, store, cmd.OutOrStdout(), report)
			} else {
				err = store.Backup(ctx, args[0], report)
			}
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintln(p.stderr, "pimsd: the backup is complete and checked; the sealing keys are not in it, back them up apart from it")
			if err := store.RecordBackup(began); err != nil { // the backup is as good without it
				p.warn(fmt.Sprintf("the service does not learn of this backup: %v", err))
			}
			return nil
		})
	})
}

// warnIfShared warns when standard output is a file that other users can use: the shell has made it, by its umask.
func warnIfShared(said, stdout io.Writer) {
	file := fileOf(stdout)
	if file == nil {
		return
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		_, _ = fmt.Fprintf(said, "pimsd: warning: standard output is a file with mode %04o, which other users can use: make it 0600 with "+
			"chmod, and set umask 077 before the next backup\n", info.Mode().Perm())
	}
}

// oneCopy wants the name of one backup, or "-".
func oneCopy(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	return usageError{fmt.Errorf("name one FILE, or - for the standard stream; see %q", cmd.CommandPath()+" --help")}
}

const (
	adviceBackup  = "back it up with what you use for PostgreSQL, such as pg_basebackup with an archive of its log, or pg_dump"
	adviceRestore = "restore it with what it was backed up with, pg_restore for pg_dump, while the service is in maintenance; then run " +
		"`pimsd account doubt --all` before the first call, because the keys of devices that made OTPs since the backup are gone; API keys " +
		"that were revoked since must be revoked again, and accounts with wrong PINs since be disabled (docs/operations.md)"
)

// refusePostgres refuses what is for SQLite alone.
func refusePostgres(c *config.Config, advice string) error {
	if c.DatabaseURL.IsEmpty() {
		return nil
	}
	return usageError{fmt.Errorf("database_url is set, so the store is in PostgreSQL: %s", advice)}
}
