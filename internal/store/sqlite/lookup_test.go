package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/storequeue"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// While the disk hangs, no caller waits longer than its context says, whatever it asks for.
func TestReadsOfADiskThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
		hang, reached, release := stuck()
		var all sync.WaitGroup
		all.Go(func() { _ = s.writer.change(context.Background(), hang) })
		<-reached
		all.Go(func() {
			_ = s.reader.do(context.Background(), func(*conn) error {
				<-release
				return nil
			})
		})
		synctest.Wait() // the reader hangs, too
		const timeout = 5 * time.Second
		for verb, read := range map[string]func(context.Context) error{
			"Fetch": func(ctx context.Context) error { _, _, err := s.Fetch(ctx, "alice"); return err },
			"Update": func(ctx context.Context) error {
				_, err := storetest.Snapshot(ctx, s, "alice", "key")
				return err
			},
			"KeyByID": func(ctx context.Context) error { _, _, err := s.KeyByID(ctx, "key"); return err },
			"List":    func(ctx context.Context) error { _, err := s.List(ctx, "", 1); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			start := time.Now()
			err := read(ctx)
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != timeout {
				t.Errorf("%s: %v after %v", verb, err, took)
			}
			cancel()
		}
		close(release)
		all.Wait()
		if _, _, err := s.Fetch(t.Context(), "alice"); !errors.Is(err, otp.ErrNotFound) || s.Broken() != nil {
			t.Errorf("afterwards: %v; broken: %v", err, s.Broken())
		}
	})
}

// Lookups go on while the writer waits for another process that writes, and the write is done when that has ended.
func TestLookupsWhileAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "data")
	s := openWith(t, directory, builtIn())
	if err := s.Create(t.Context(), benchWrite(1, 1)); err != nil {
		t.Fatal(err)
	}
	err := withConn(t.Context(), filepath.Join(directory, FileName), standardPragmas(), func(other *conn) error {
		if _, err := other.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		written := make(chan error)
		go func() { written <- s.Replace(t.Context(), benchWrite(1, 2)) }()
		for range 100 {
			if got := revision(t, s, "account 1"); got != 1 {
				t.Errorf("found is revision %d", got)
			}
			time.Sleep(time.Millisecond) // until the writer waits
		}
		_, err := other.exec("ROLLBACK")
		return errors.Join(err, <-written)
	})
	if err != nil || revision(t, s, "account 1") != 2 {
		t.Error(err)
	}
}

// A settle does not wait for lookups that never end.
func TestAWriteAmongManyLookups(t *testing.T) {
	t.Parallel()
	s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := s.KeyByID(ctx, "none"); !errors.Is(err, authn.ErrNoKey) && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for revision := uint64(1); revision <= 100; revision++ {
		verb := s.Replace
		if revision == 1 {
			verb = s.Create
		}
		if err := verb(t.Context(), benchWrite(1, revision)); err != nil {
			t.Error(err)
		}
	}
	cancel()
	all.Wait()
}

// A lookup sees all that was stored before, by whichever process, and a closed store says so.
func TestLookupsSeeWhatIsStored(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "data")
	s, other := openWith(t, directory, builtIn()), openWith(t, directory, builtIn())
	for n := uint64(1); n < 20; n++ {
		by := []*Store{s, other}[n%2]
		verb := by.Replace
		if n == 1 {
			verb = by.Create
		}
		if err := verb(t.Context(), benchWrite(1, n)); err != nil {
			t.Fatal(err)
		}
		if got := revision(t, s, "account 1"); got != n {
			t.Errorf("found is revision %d, want %d", got, n)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Fetch(t.Context(), "account 1"); !errors.Is(err, storequeue.ErrClosed) {
		t.Errorf("a closed store says %v", err)
	}
}
