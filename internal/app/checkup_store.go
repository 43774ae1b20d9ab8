package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

const (
	theContent = "store content"
	theRecords = "records"
)

// inspectStore looks at the store and at the keys that its records are sealed with, and reads the store's clock.
func inspectStore(whole context.Context, c *config.Config) ([]Finding, reading) {
	ctx, cancel := context.WithTimeout(whole, inspectTimeout)
	defer cancel()
	core, err := OpenRecords(ctx, c, inspect)
	switch {
	case errors.Is(err, otp.ErrNoStore):
		return []Finding{noStore(ctx, c), keysBeforeTheStore(c), skipped(theStamps, "there is no store")}, reading{}
	case errors.Is(err, otp.ErrOldSchema):
		const old = "the store is migrated first"
		return []Finding{
			note(theStore, err.Error(), "Back it up before."), keysOfOlderStore(ctx, c), skipped(theRecords, old), skipped(theStamps, old),
		}, reading{}
	case err != nil:
		const closed = "the store cannot be opened"
		return []Finding{
			fails(theStore, err.Error(), adviceOnOpening(c, err)), skipped(theKeys, closed), skipped(theRecords, closed), skipped(theStamps, closed),
		}, reading{}
	}
	defer func() { _ = core.Close() }()
	clock, err := readStoreClock(ctx, core.Store)
	findings := []Finding{
		describeStore(ctx, c, core.Store, err), keysOfTheStore(ctx, c, core.Store), recordsOfTheStore(ctx, core),
		inspectStamps(ctx, core.Store, clock.there),
	}
	if c.DatabaseURL.IsEmpty() {
		findings = append(findings, inspectContent(whole, c))
	}
	return findings, clock
}

func adviceOnOpening(c *config.Config, err error) string {
	if sqlite.IsDamage(err) {
		return "Restore a backup with pimsd store restore FILE, as docs/operations.md says."
	}
	return adviceOnStore(c)
}

func adviceOnStore(c *config.Config) string {
	if !c.DatabaseURL.IsEmpty() {
		return "Check database_url, and that the database lets this machine and user in."
	}
	return "Check data_dir, its disk, and that it belongs to the user of the service."
}

// noStore is good news before the first start: unless the service could not make one.
func noStore(ctx context.Context, c *config.Config) Finding {
	if !c.DatabaseURL.IsEmpty() {
		if err := postgres.Check(ctx, databaseOf(c)); err != nil && !errors.Is(err, otp.ErrNoStore) {
			return fails(theStore, err.Error(), adviceOnStore(c))
		}
		return note(theStore, "the PostgreSQL database answers and is empty", "The service makes the store when it starts.")
	}
	if err := sqlite.Check(ctx, c.DataDir); err != nil && !errors.Is(err, otp.ErrNoStore) {
		return fails(theStore, "there is none yet: "+err.Error(), adviceOnStore(c))
	}
	return note(theStore, "there is none yet in "+c.DataDir, "The service makes it when it starts.")
}

// describeStore looks at a store that is open; unread is the error of a read.
func describeStore(ctx context.Context, c *config.Config, store Store, unread error) Finding {
	what := "SQLite in " + c.DataDir
	if !c.DatabaseURL.IsEmpty() {
		what = "PostgreSQL"
	}
	if err := store.Writable(ctx); err != nil {
		return fails(theStore, what+" takes no writes: "+err.Error(), adviceOnStore(c))
	}
	if older := olderThanBefore(ctx, store); older != "" {
		return note(theStore, what+" takes writes; "+older, "If it was restored by other means than `pimsd store restore`, prefer that: it "+
			"takes over what accounts have counted. The next start puts every device in doubt, and "+adviceOnOlder+".")
	}
	if unread != nil {
		return fails(theStore, what+" cannot be read: "+unread.Error(), adviceOnStore(c))
	}
	return passes(theStore, what+" takes writes")
}

// olderThanBefore returns what an SQLite store says when it is older than the one that its data directory had last.
func olderThanBefore(ctx context.Context, store Store) string {
	if embedded, is := store.(*sqlite.Store); is {
		return embedded.Condition(ctx).Older
	}
	return ""
}

// inspectContent has SQLite look the whole database over.
func inspectContent(ctx context.Context, c *config.Config) Finding {
	ctx, cancel := context.WithTimeout(ctx, contentTimeout)
	defer cancel()
	switch damage, complete, err := sqlite.Verify(ctx, c.DataDir); {
	case err != nil:
		return fails(theContent, "it cannot be looked over: "+err.Error(), adviceOnStore(c))
	case damage != "":
		return fails(theContent, "it is damaged: "+damage, "docs/operations.md says what to do: when only indexes are damaged, the database can "+
			"be rebuilt; otherwise restore a backup with pimsd store restore FILE.")
	case !complete:
		return note(theContent, fmt.Sprintf("it is too large to be looked over within %v, and was not found damaged so far", contentTimeout),
			"pimsd store backup FILE checks all of its copy.")
	default:
		return passes(theContent, "SQLite finds nothing damaged (quick_check)")
	}
}

// contentTimeout bounds how long the content of a store is looked over.
const contentTimeout = 30 * time.Second

// adviceOnKeys is what follows from a keyring that cannot be used.
const adviceOnKeys = "Without the keys the devices cannot be read: give seal.keys or seal.keys_file the lines that the store was " +
	"sealed with."

func keysBeforeTheStore(c *config.Config) Finding {
	if c.DatabaseURL.IsEmpty() && c.Seal.Keys.IsEmpty() && c.FileOf("seal.keys") == "" {
		return note(theKeys, "there are none yet", "The service makes them with the store, in the data directory: back them up, apart from it.")
	}
	keyring, err := OpenKeyring(c)
	if err != nil {
		return fails(theKeys, err.Error(), "Correct seal.keys or seal.keys_file.")
	}
	return passes(theKeys, describe(keyring, 0))
}

func keysOfTheStore(ctx context.Context, c *config.Config, store Store) Finding {
	keyring, err := OpenKeyring(c)
	if err != nil {
		return fails(theKeys, err.Error(), adviceOnKeys)
	}
	switch err := keyring.CheckCurrent(ctx, store); {
	case errors.Is(err, seal.ErrCurrentKeyMissing):
		return fails(theKeys, err.Error(), adviceOnKeys)
	case err != nil:
		return unlooked(ctx, theKeys, err)
	}
	usage, err := seal.Count(ctx, store)
	if err != nil {
		return unlooked(ctx, theKeys, err)
	}
	if err := keyring.Check(usage); err != nil {
		return fails(theKeys, err.Error(), adviceOnKeys)
	}
	records := 0
	for _, n := range usage {
		records += n
	}
	if damaged := usage[seal.Unsealed]; damaged > 0 {
		return fails(theKeys, fmt.Sprintf("damaged, or not sealed: %d of %s", damaged, input.Count(records, "record")),
			"Restore them from a backup, as docs/operations.md says.")
	}
	return passes(theKeys, describe(keyring, records))
}

// keysOfOlderStore looks at the keys of a store that the service migrates first.
func keysOfOlderStore(ctx context.Context, c *config.Config) Finding {
	switch err := checkKeys(ctx, c); {
	case ctx.Err() != nil:
		return unlooked(ctx, theKeys, err)
	case err != nil:
		return fails(theKeys, err.Error(), adviceOnKeys)
	default:
		return passes(theKeys, "the store needs none that is missing")
	}
}

// unlooked is about what could not be looked at because the store did not answer: in time, or at all.
func unlooked(ctx context.Context, what string, err error) Finding {
	if ctx.Err() != nil {
		return skipped(what, fmt.Sprintf("looking at the store takes longer than %v", inspectTimeout))
	}
	const advice = "Restore it from a backup, as docs/operations.md says, or repair its database."
	return fails(what, "the store cannot be read: "+err.Error(), advice)
}

// recordsOfTheStore names records that cannot be read, and counts the devices in doubt.
func recordsOfTheStore(ctx context.Context, core *Core) Finding {
	records, inDoubt := 0, 0
	err := core.EachAccount(ctx, func(status otp.Status) error {
		records++
		if status.InDoubt {
			inDoubt++
		}
		return nil
	})
	unreadable, damaged := errors.AsType[*UnreadableError](err)
	switch {
	case damaged:
		return fails(theRecords, unreadable.Error(), "Restore the store from a backup, or make the device again: pimsd enroll --replace; "+
			"pimsd account forget removes what is left of a record.")
	case err != nil:
		return unlooked(ctx, theRecords, err)
	case inDoubt > 0:
		return note(theRecords, fmt.Sprintf("all can be read: %s; devices in doubt: %d", input.Count(records, "record"), inDoubt),
			"pimsd account list shows them; docs/operations.md says what to do.")
	default:
		return passes(theRecords, "all can be read: "+input.Count(records, "record")+"; no device is in doubt")
	}
}

func describe(keyring *seal.Keyring, records int) string {
	return fmt.Sprintf("keys: %d, the current one is %s; records that they open: %d", len(keyring.Keys()), keyring.Current(), records)
}

func readStoreClock(ctx context.Context, store Store) (reading, error) {
	before := time.Now()
	_, there, err := store.Fetch(ctx, noAccount)
	if err != nil && !errors.Is(err, otp.ErrNotFound) {
		return reading{}, err
	}
	after := time.Now()
	return reading{there: there, here: before.Add(after.Sub(before) / 2)}, nil
}
