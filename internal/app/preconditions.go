package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// precondition is something without which New refuses to serve.
type precondition struct {
	What string // as `pimsd check` names it
	// Check returns why the service would refuse to start. It changes nothing.
	Check func(context.Context, *config.Config) error
	// byOpening means that New does not call Check, because it opens the thing itself.
	byOpening bool
}

// The preconditions that `pimsd check` describes in more detail.
const (
	theStore                = "store"
	theKeys                 = "sealing keys"
	preconditionCertificate = "certificate of the API"
	preconditionInwebo      = "inWebo client"
	preconditionIssuers     = "issuers of tokens"
)

// preconditions returns everything without which New refuses to serve, in the order in which New needs it: where each Check returns nil,
// New serves.
func preconditions() []precondition {
	return []precondition{
		{What: "open files", Check: checkOpenFiles},
		{What: preconditionInwebo, Check: checkInweboClient},
		{What: "transcript", Check: checkTranscript},
		{What: preconditionCertificate, Check: checkCertificate},
		{What: preconditionIssuers, Check: func(_ context.Context, c *config.Config) error { return checkIssuers(c.JWT) }},
		{What: "addresses", Check: checkAddresses, byOpening: true},
		{What: theStore, Check: checkStore, byOpening: true},
		{What: theKeys, Check: checkKeys, byOpening: true},
	}
}

// checkBefore returns what New finds wrong before it binds, opens or makes anything: all of it at once.
func checkBefore(ctx context.Context, c *config.Config) error {
	var refused []error
	for _, p := range preconditions() {
		if !p.byOpening {
			refused = append(refused, p.Check(ctx, c))
		}
	}
	return errors.Join(refused...)
}

func checkOpenFiles(_ context.Context, c *config.Config) error {
	openFiles, err := openFileLimit()
	if err == nil {
		_, err = apiConnections(openFiles, c.Load, c.Admin.Listen != "")
	}
	return err
}

func checkInweboClient(_ context.Context, c *config.Config) error {
	client, err := newInwebo(c.Inwebo, nil, nil)
	if err == nil {
		client.Close()
	}
	return err
}

func checkTranscript(_ context.Context, c *config.Config) error {
	if c.Inwebo.TranscriptFile == "" {
		return nil
	}
	file, err := os.OpenFile(c.Inwebo.TranscriptFile, os.O_APPEND|os.O_WRONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = input.MayMakeIn(filepath.Dir(c.Inwebo.TranscriptFile))
	case err == nil:
		err = file.Close()
	}
	if err != nil {
		return fmt.Errorf("inwebo.transcript_file: it cannot be written: %w", err)
	}
	return nil
}

func checkCertificate(_ context.Context, c *config.Config) error {
	if c.TLS.CertFile == "" {
		return nil
	}
	_, err := openCertificate(c.TLS, nil)
	return err
}

// checkStore returns why the service could not use or make its store.
func checkStore(ctx context.Context, c *config.Config) (err error) {
	if c.DatabaseURL.IsEmpty() {
		err = sqlite.Check(ctx, c.DataDir)
	} else {
		err = postgres.Check(ctx, databaseOf(c))
	}
	if errors.Is(err, otp.ErrNoStore) || errors.Is(err, otp.ErrOldSchema) {
		return nil
	}
	return err
}

// checkKeys returns why the service could not use its sealing keys. A key file that is missing is made with a store that has no accounts.
func checkKeys(ctx context.Context, c *config.Config) error {
	keyring, err := OpenKeyring(c)
	missing := errors.Is(err, fs.ErrNotExist) && c.FileOf(sealKeysSetting) == ""
	if err != nil && !missing {
		return err
	}
	store, errStore := openSealed(ctx, c)
	switch {
	case errStore != nil && missing && !errors.Is(errStore, otp.ErrNoStore):
		return err
	case errStore != nil: // which checkStore reports
		return nil
	}
	defer func() { _ = store.Close() }()
	if !missing {
		return keyring.CheckCurrent(ctx, store)
	}
	if rows, errRows := store.List(ctx, "", 1); errRows != nil || len(rows) > 0 {
		return errors.Join(err, errRows)
	}
	return nil
}

// sealed is a store of which no more is read than what its sealing keys are checked against.
type sealed interface {
	seal.Catalog
	io.Closer
}

// openSealed opens the configured store, also one whose schema the service would migrate first.
func openSealed(ctx context.Context, c *config.Config) (sealed, error) {
	store, err := openStore(ctx, c, inspect)
	switch {
	case !errors.Is(err, otp.ErrOldSchema):
		return store, err
	case c.DatabaseURL.IsEmpty():
		return sqlite.OpenOlder(c.DataDir)
	default:
		return postgres.OpenOlder(ctx, databaseOf(c))
	}
}
