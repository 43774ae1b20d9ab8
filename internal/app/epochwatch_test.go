package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// epochs is a store whose reads find one epoch after the other. Of number 0 there is none: the read fails.
type epochs []otp.Epoch

func (e *epochs) Epoch(context.Context) (otp.Epoch, error) {
	next := (*e)[0]
	*e = (*e)[1:]
	if next.Number == 0 {
		return otp.Epoch{}, errors.New("the store cannot be read")
	}
	return next, nil
}

func TestRaisedEpochIsLoggedOnceWithItsCause(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	restored := otp.Epoch{Number: 2, Since: since, Cause: "store-restore"}
	promoted := otp.Epoch{Number: 3, Since: since, Cause: "promotion"}
	older := otp.Epoch{Number: 4, Since: since, Cause: sqlite.ActionOlder}
	found := epochs{{Number: 1}, restored, {}, restored, promoted, promoted, older}
	core, logs := observer.New(zap.InfoLevel)
	w := &epochWatch{store: &found, logger: zap.New(core)}
	for i, want := range []string{1: "store-restore", 4: "promotion", 6: "store-older"} {
		w.check(t.Context())
		var got string
		for _, entry := range logs.TakeAll() {
			fields := entry.ContextMap()
			got += fields["cause"].(string)
			if number := fields["epoch"].(uint64); number < 2 || !fields["since"].(time.Time).Equal(since) {
				t.Errorf("look %d logs %v", i, fields)
			}
			if _, advised := fields["advice"]; advised != (got == "store-older") {
				t.Errorf("look %d logs %v", i, fields)
			}
		}
		if got != want {
			t.Errorf("look %d logs the cause %q, want %q", i, got, want)
		}
	}
}
