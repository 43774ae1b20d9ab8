package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/storequeue"
)

func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := openWith(t, dir, builtIn())
	const callers = 16
	stored := make([]uint64, callers)
	var all sync.WaitGroup
	started := make(chan struct{}, callers)
	for i := range callers {
		all.Go(func() {
			for n := uint64(1); ; n++ {
				verb := s.Replace
				if n == 1 {
					verb = s.Create
				}
				if err := verb(t.Context(), benchWrite(i, n)); err != nil {
					if !errors.Is(err, storequeue.ErrClosed) {
						t.Errorf("a write while the store is closed: %v", err)
					}
					return
				}
				stored[i] = n
				if n == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	<-started
	for range 3 {
		all.Go(func() { closeStore(t, s) })
	}
	all.Wait()
	if err := s.Writable(t.Context()); !errors.Is(err, storequeue.ErrClosed) {
		t.Errorf("a write after the store was closed: %v", err)
	}
	if _, _, err := s.Fetch(t.Context(), "account 1"); err == nil {
		t.Error("a read after the store was closed goes well")
	}
	again := openWith(t, dir, builtIn())
	for i, n := range stored {
		if got := revision(t, again, otp.Account(fmt.Sprint("account ", i))); got != n {
			t.Errorf("caller %d was told of revision %d, and there is %d", i, n, got)
		}
	}
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openWith(t, filepath.Join(t.TempDir(), "data"), builtIn())
		hold, reached, release := stuck()
		go func() { _ = s.writer.change(context.Background(), hold) }()
		<-reached
		start := time.Now()
		err := s.Close()
		if took := time.Since(start); took != closeTimeout || err == nil || !strings.Contains(err.Error(), "did not close within 10s") {
			t.Errorf("after %v: %v", took, err)
		}
		close(release)
		synctest.Wait()
		s.closeErr = nil // for the test's end, which closes it once more
	})
}
