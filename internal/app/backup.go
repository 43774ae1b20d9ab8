package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// OpenSQLite opens the SQLite store of the configuration alone, which must exist. No sealing keys are needed.
func OpenSQLite(ctx context.Context, c *config.Config) (*sqlite.Store, error) {
	return sqlite.Open(ctx, embeddedOf(c))
}

// StreamBackup writes a copy of the store to a writer, once it is complete and checked. report is called now and then with how many
// bytes the copy has, and how many it has about in the end.
func StreamBackup(ctx context.Context, store *sqlite.Store, to io.Writer, report func(done, total int64)) (err error) {
	file, err := store.OpenBackup(ctx, report)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(to, reader{ctx, file}); err != nil {
		return fmt.Errorf("write the backup to standard output: %w", err)
	}
	return nil
}

// reader reads until ctx ends.
type reader struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one copy
	from io.Reader
}

// Read is as io.Reader says.
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// errNoBackup means that no backup came on standard input.
var errNoBackup = errors.New("standard input is empty, and no backup: redirect the file to it (kubectl exec and docker exec need -i)")

// ReceiveBackup writes what from has into a file in the data directory, and returns its path. The caller must call remove in the end.
func ReceiveBackup(ctx context.Context, c *config.Config, from io.Reader) (path string, remove func() error, err error) {
	file, err := sqlite.NewReceived(c.DataDir)
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return errors.Join(os.Remove(file.Name()), file.Close()) }
	switch n, err := io.Copy(file, reader{ctx, from}); {
	case err != nil:
		return "", nil, errors.Join(fmt.Errorf("read the backup: %w", err), remove())
	case n == 0:
		return "", nil, errors.Join(errNoBackup, remove())
	}
	return file.Name(), remove, nil
}
