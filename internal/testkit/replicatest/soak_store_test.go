package replicatest_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

// soakStore is what a soak does that depends on the kind of store.
type soakStore interface {
	// settings returns those of an empty store, and of its sealing keys.
	settings() settings
	// step sets how far the clock of the store is ahead of the machine's.
	step(s *soak, ahead time.Duration) error
	// restore makes a backup of the store, which may be in use, makes a store of the backup, and returns its settings. Every device of the
	// new store is in doubt. It takes the place of the store where inPlace, and the kind of store allows that.
	restore(s *soak, inPlace bool) (settings, error)
	// troubles returns those that only this kind of store has.
	troubles() []trouble
}

// onSQLiteSoaked is a data directory.
type onSQLiteSoaked struct{ dir, keys string }

func (o onSQLiteSoaked) settings() settings {
	return settings{"DATA_DIR": o.dir, "SEAL_KEYS_FILE": o.keys}
}

func (o onSQLiteSoaked) troubles() []trouble { return nil }

// step steps the clock of all processes, which is that of the store.
func (o onSQLiteSoaked) step(s *soak, ahead time.Duration) error { return s.w.clock.step(ahead) }

func (o onSQLiteSoaked) restore(s *soak, inPlace bool) (settings, error) {
	store, _ := s.w.core.Store.(*sqlite.Store)
	dir := s.t.TempDir()
	backup := filepath.Join(dir, "backup.db")
	if err := store.Backup(s.t.Context(), backup, func(_, _ int64) {}); err != nil {
		return nil, err
	}
	place := o.settings()
	if inPlace {
		if err := s.w.core.Close(); err != nil {
			return nil, err
		}
		s.w.core = nil
	} else {
		place["DATA_DIR"] = filepath.Join(dir, "data")
	}
	restore, err := app.PrepareRestore(s.t.Context(), s.w.configOf(s.w.with(place)), backup, "test")
	if err != nil {
		return nil, err
	}
	_, err = restore.Install(s.t.Context())
	return place, errors.Join(err, restore.Close())
}

// onPostgresSoaked is a database on a server of its own.
type onPostgresSoaked struct {
	server    *pgtest.Server
	url, keys string
}

func (o onPostgresSoaked) settings() settings {
	return settings{"DATABASE_URL": o.url, "SEAL_KEYS_FILE": o.keys, "DATA_DIR": filepath.Dir(o.keys)}
}

func (o onPostgresSoaked) troubles() []trouble {
	return []trouble{{"database killed", func(*soak) error {
		if err := o.server.Kill(); err != nil {
			return err
		}
		return o.server.StartAgain()
	}}}
}

const (
	// newClock makes a clock that can be stepped.
	newClock = `
		CREATE SCHEMA pimsd;
		CREATE SCHEMA stepped;
		CREATE TABLE stepped.clock (ahead interval NOT NULL);
		INSERT INTO stepped.clock VALUES ('0');
		CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
			AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM stepped.clock'`
	// useClock lets sessions find it before that of PostgreSQL. A backup does not have that.
	useClock = `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET search_path = pimsd, stepped, pg_catalog', current_database());
	END $$`
)

func (o onPostgresSoaked) step(s *soak, ahead time.Duration) error {
	o.server.Exec(s.t, o.url, fmt.Sprintf("UPDATE stepped.clock SET ahead = '%d seconds'", int(ahead.Seconds())))
	return nil
}

// restore uses the tools of PostgreSQL, and then does what "pimsd account doubt --all" does. The new store is another database.
func (o onPostgresSoaked) restore(s *soak, _ bool) (settings, error) {
	backup := filepath.Join(s.t.TempDir(), "backup")
	to := o
	to.url = o.server.Database(s.t).Reveal()
	for _, tool := range [][]string{
		{"pg_dump", "--format=custom", "--file=" + backup, o.url},
		{"pg_restore", "--exit-on-error", "--dbname=" + to.url, backup},
	} {
		if said, err := o.server.Command(s.t, tool[0], tool[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", tool[0], err, said)
		}
	}
	o.server.Exec(s.t, to.url, useClock)
	core, err := app.OpenRecords(s.t.Context(), s.w.configOf(s.w.with(to.settings())), app.UseMoved)
	if err != nil {
		return nil, err
	}
	err = core.Store.RaiseEpoch(s.t.Context(), otp.AuditEntry{Caller: "test", Action: "doubt-all", Stage: otp.StageOutcome, Outcome: "done"})
	return to.settings(), errors.Join(err, core.Close())
}
