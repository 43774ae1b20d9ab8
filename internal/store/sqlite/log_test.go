package sqlite

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
)

// While a command seals every record again, one after the other, the service goes on writing the same database. Either adds to the log
// while the other one writes it back, and the log stays bounded all the same. The bound has room for a process that is stopped for a
// moment while it reads; without the second checkpoint the log of this test has 30 to 90 MiB.
func TestLogIsBoundedInRotation(t *testing.T) {
	t.Parallel()
	const records, callers, bound = 4_000, 8, 28 << 20
	dir := t.TempDir()
	service, err := OpenOrCreate(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, service)
	inParallel(256, func(caller int) {
		for i := caller; i < records; i += 256 {
			if err := service.Create(t.Context(), benchWrite(i, 1)); err != nil {
				t.Error(err)
			}
		}
	})
	command, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, command)

	rotated := make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		inParallel(callers, func(caller int) {
			for i := caller; ; i = (i + 37*callers) % records {
				select {
				case <-rotated:
					return
				default:
					rewrite(t, service, i)
				}
			}
		})
	})
	var longest int64
	for i := range records {
		rewrite(t, command, i)
		info, err := os.Stat(command.writer.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, info.Size())
	}
	close(rotated)
	calls.Wait()
	if longest > bound {
		t.Errorf("the log grew to %d MiB", longest>>20)
	}
}

// rewrite replaces the record that benchWrite has created for that caller, whatever the other store makes of it meanwhile.
func rewrite(t *testing.T, s *Store, caller int) {
	t.Helper()
	for err := otp.ErrConflict; errors.Is(err, otp.ErrConflict); {
		row, _, fetched := s.Fetch(t.Context(), otp.Account(fmt.Sprint("account ", caller)))
		if fetched != nil {
			t.Error(fetched)
			return
		}
		if err = s.Replace(t.Context(), benchWrite(caller, row.Revision+1)); err != nil && !errors.Is(err, otp.ErrConflict) {
			t.Error(err)
		}
	}
}

// inParallel calls each with every number below n, and waits until all have returned.
func inParallel(n int, each func(int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { each(i) })
	}
	all.Wait()
}
