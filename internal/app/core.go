package app

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// Store is what the daemon and the commands ask of a store.
type Store interface {
	otp.Store
	authn.KeyStore
	// Writable proves that the store takes writes.
	Writable(ctx context.Context) error
	// AuditAfter returns lines of the audit log, those after the id given. Of a damaged line it returns what can be read.
	AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error)
	// ForgetLines deletes lines of the audit log that are older than that; some of them, when there are many.
	ForgetLines(ctx context.Context, age time.Duration) error
	// ForgetAnswers spends the keys of answers that are older than answerLife, and drops the keys that are older than keyLife.
	// It also spends answers that a wrong clock dated in the future, and counts the age of their keys from now on.
	ForgetAnswers(ctx context.Context, answerLife, keyLife time.Duration) error
	// SealingKey returns the name that RecordSealingKey recorded last; it is empty when none was recorded.
	SealingKey(ctx context.Context) (string, error)
	// RecordSealingKey records the name of the key that seals from now on.
	RecordSealingKey(ctx context.Context, name string) error
	// CountAnswersUnder counts the answers that are kept for repeats, and were sealed or fingerprinted under the key whose
	// marks begin with that text.
	CountAnswersUnder(ctx context.Context, start []byte) (int, error)
	// ListFormer returns rows of devices that accounts had before others, those after the row given.
	ListFormer(ctx context.Context, after otp.Row, limit int) ([]otp.Row, error)
	// Epoch returns the doubt epoch of the store.
	Epoch(ctx context.Context) (otp.Epoch, error)
	// RaiseEpoch raises the doubt epoch, so that every device is in doubt, in one write with the audit entry. Its action is the cause.
	RaiseEpoch(ctx context.Context, line otp.AuditEntry) error
	// CountUnreadAnswers counts the answers of inWebo that are kept because they could not be read.
	CountUnreadAnswers(ctx context.Context) (int, error)
	Close() error
}

// Core is the domain on its store: what the daemon serves, and what commands use, also while the daemon runs.
type Core struct {
	Store   Store         // its secrets are sealed
	Keyring *seal.Keyring // nil in a Core of OpenRecords
	OTP     *otp.Service

	inwebo     *inwebo.Client     // nil in a Core of OpenRecords
	transcript *inwebo.Transcript // nil: none
}

// Observers are called with what the parts of a Core do; each may be nil.
type Observers struct {
	OTP      otp.Observer
	Exchange func(exchange inwebo.Exchange, err error, took time.Duration)
	// Transcript is called with the reason when no more is written to the transcript.
	Transcript func(error)
}

// OpenCore opens the configured store, which must exist unless create, and the domain on it.
func OpenCore(ctx context.Context, c *config.Config, create bool, hear Observers) (_ *Core, err error) {
	core := &Core{}
	if core.transcript, err = openTranscript(c.Inwebo, hear.Transcript); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, core.CloseTranscript())
		}
	}()
	if core.inwebo, err = newInwebo(c.Inwebo, hear.Exchange, core.transcript.Samples()); err != nil {
		return nil, err
	}
	how := Use
	if create {
		how = makeOrUse
	}
	if core.Store, err = openStore(ctx, c, how); err != nil {
		return nil, err
	}
	core.Keyring, err = openKeyring(ctx, c, core.Store, create)
	if err == nil {
		err = checkKeyring(ctx, core.Keyring, core.Store, create)
	}
	if err != nil {
		return nil, errors.Join(err, core.Store.Close())
	}
	core.OTP = otp.New(seal.New(core.Store, core.Keyring), core.inwebo, limits(c), hear.OTP)
	return core, nil
}

// OpenRecords opens the configured store, which must exist, and the domain on it for what needs no secret of a device: it reads
// no sealing keys, and opens no secrets. OTPs, enrollments and imports are not possible on it.
func OpenRecords(ctx context.Context, c *config.Config, how Access) (*Core, error) {
	store, err := openStore(ctx, c, how)
	if err != nil {
		return nil, err
	}
	return &Core{Store: store, OTP: otp.New(seal.NewUnopened(store), nil, limits(c), nil)}, nil
}

// CloseTranscript closes the transcript. Its error says why it is not complete. Close closes it as well, and passes the error
// over: a transcript makes nothing fail.
func (c *Core) CloseTranscript() error { return c.transcript.Close() }

// Close closes the store. Conversations must have ended.
func (c *Core) Close() error {
	if c.inwebo != nil {
		c.inwebo.Close()
	}
	_ = c.CloseTranscript()
	return c.Store.Close()
}

// Access is the purpose for which a store is opened.
type Access int

// The purposes.
const (
	Use       Access = iota // it must exist
	UseMoved                // the same, also where another PostgreSQL cluster has it by now: the caller must put every device in doubt
	makeOrUse               // it is made where there is none, and migrated
	inspect                 // it must exist, and is not changed: one that is older than the one that was there last is not put in doubt
)

// openStore opens PostgreSQL when a database is named, and else SQLite in the data directory. With makeOrUse it refuses wrong sealing keys
// before it migrates a store: an older pimsd could not go back to it.
func openStore(ctx context.Context, c *config.Config, how Access) (Store, error) {
	database, embedded := databaseOf(c), embeddedOf(c)
	database.BeforeMigration = func(ctx context.Context) error { return checkKeys(ctx, c) }
	database.AnyServer = how == UseMoved
	embedded.BeforeMigration, embedded.Inspect = database.BeforeMigration, how == inspect
	switch {
	case !c.DatabaseURL.IsEmpty() && how == makeOrUse:
		return postgres.OpenOrCreate(ctx, database)
	case !c.DatabaseURL.IsEmpty():
		return postgres.Open(ctx, database)
	case how == makeOrUse:
		return sqlite.OpenOrCreate(ctx, embedded)
	default:
		return sqlite.Open(ctx, embedded)
	}
}

// databaseOf returns how the configured database is opened.
func databaseOf(c *config.Config) postgres.Options {
	return postgres.Options{URL: c.DatabaseURL, SynchronousFailover: c.Postgres.SynchronousFailover}
}

// embeddedOf returns how the store in the data directory is opened.
func embeddedOf(c *config.Config) sqlite.Options {
	return sqlite.Options{Dir: c.DataDir, Now: c.Now, Guard: limits(c).Guard}
}

// storeTimeout bounds one call of the store.
const storeTimeout = 5 * time.Second

// limits are the domain's settings.
func limits(c *config.Config) otp.Limits {
	return otp.Limits{
		Deadline: c.Conversation.Deadline, QueueWait: c.Conversation.QueueWait, StoreTimeout: storeTimeout,
		CircuitFaults: c.Inwebo.CircuitFaults, CircuitTimeout: c.Inwebo.CircuitTimeout, SetupRepeats: c.Inwebo.SetupRepeats,
		FinalizeTimeout: c.Inwebo.ExchangeTimeout, OTPsPerDay: c.Quota.OTPsPerDay, ServiceID: c.Inwebo.Service,
		ResponseLifetime: c.Idempotency.AnswerLife,
		DeviceName:       c.Inwebo.DeviceName,
		Activations:      otp.ActivationLimits{Warn: c.Activations.WarnAt, Refuse: c.Activations.RefuseAt},
		Guard:            otp.GuardLimits{Attempts: c.Guard.Attempts, Pause: c.Guard.Pause, Unanswered: c.Guard.Unanswered},
	}
}
