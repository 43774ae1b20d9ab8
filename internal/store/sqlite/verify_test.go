package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

// damaged is what a process leaves that was killed, with a damaged page.
func damaged(t *testing.T, part string) (dir string) {
	t.Helper()
	dir = oldStore(t)
	s := openWith(t, dir, builtIn())
	writeRow(t, s, 1)
	writeBack(t, s)
	if err := s.RecordSealingKey(t.Context(), "key"); err != nil { // which has a page of its own
		t.Fatal(err)
	}
	dir = put(t, files(t, dir))
	overwrite(t, dir, page(t, s, part))
	return dir
}

// A store that was closed and is damaged is not served either, and a look over it names the damage, also while it is open.
func TestDamageAfterACleanEnd(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"device", "audit", "api_key", "device_unread"} {
		dir := oldStore(t)
		if damage, complete, err := Verify(t.Context(), dir); damage != "" || !complete || err != nil {
			t.Errorf("before it is damaged: %q, %t, %v", damage, complete, err)
		}
		damage(t, dir, part)
		_, err := OpenOrCreate(t.Context(), Options{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "is damaged (") || strings.Contains(err.Error(), "was not closed") {
			t.Errorf("%s: serving it says %v", part, err)
		}
		openDamaged(t, dir)
		if damage, complete, err := Verify(t.Context(), dir); !strings.Contains(damage, part) || !complete || err != nil {
			t.Errorf("%s: the look says %q, %t, %v", part, damage, complete, err)
		}
	}
}

// A store that is to be migrated is verified before, and so is what a check says of it.
func TestCheckOfDamagedOlderStore(t *testing.T) {
	t.Parallel()
	dir := oldStore(t)
	newer := later("SELECT 1;")
	if err := check(t.Context(), dir, newer); !errors.Is(err, otp.ErrOldSchema) {
		t.Errorf("before it is damaged: %v", err)
	}
	damage(t, dir, "device")
	err := check(t.Context(), dir, newer)
	if _, refused := openOrCreate(t.Context(), Options{Dir: dir}, newer); err == nil || refused == nil || err.Error() != refused.Error() {
		t.Errorf("the check says %v, and opening it %v", err, refused)
	}
}

// A look over a store that takes too long is not taken for a good one.
func TestVerifyIsBounded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if damage, complete, err := Verify(ctx, oldStore(t)); complete || damage != "" {
		t.Errorf("it says %q, %t, %v", damage, complete, err)
	}
}

// A store that was not closed and is damaged is not served; commands can still be used on it.
func TestDamageAfterAnUncleanEnd(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"device", "audit", "api_key"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			dir := damaged(t, part)
			_, err := OpenOrCreate(t.Context(), Options{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), "is damaged (table "+part+":") || !strings.Contains(err.Error(), "pimsd store restore") {
				t.Errorf("serving it says %v", err)
			}
			s, err := Open(t.Context(), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
		})
	}
	t.Run("where it can be done without", func(t *testing.T) {
		t.Parallel()
		s := openWith(t, damaged(t, "answer_at"), builtIn())
		if !strings.HasPrefix(s.health.unverified, "the store is damaged, where it can be done without: ") {
			t.Errorf("the remark is %q", s.health.unverified)
		}
		writeRow(t, s, 1)
	})
}

// That there is no time left to verify the irreplaceable tables is no damage of one of them.
func TestVerificationOfTablesIsBounded(t *testing.T) {
	t.Parallel()
	conn, err := openReadOnly(filepath.Join(damaged(t, "answer_at"), FileName), "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if damage := checkTables(ctx, conn, irreplaceable()); damage != "" {
		t.Errorf("without time, there is damage: %s", damage)
	}
}

// A large store is served though it was not verified to the end, and says so.
func TestVerificationIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(damaged(t, "device"), FileName)
	remark, err := verify(t.Context(), path, -time.Second)
	if err != nil || !strings.Contains(remark, "too large to be verified") {
		t.Errorf("the remark is %q (%v)", remark, err)
	}
	if remark, err := verify(t.Context(), filepath.Join(oldStore(t), FileName), -time.Second); remark != "" || err != nil {
		t.Errorf("after a clean end: %q, %v", remark, err)
	}
}
