package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// conditions is a store whose looks find one condition after the other.
type conditionsOfAStore []sqlite.Condition

func (c *conditionsOfAStore) Condition(context.Context) sqlite.Condition {
	next := (*c)[0]
	*c = (*c)[1:]
	return next
}

// What is new of the store's condition is logged once, and again when it was good meanwhile; /readyz?verbose says all of it.
func TestTheConditionOfAStoreIsTold(t *testing.T) {
	damaged := sqlite.Condition{Damage: "index device_unread", ResponsesLost: 1}
	worse := sqlite.Condition{Damage: "index device_unread", ResponsesLost: 7, SettlesByScan: 1, LogIsKept: true, LogBytes: 300 << 20}
	unverified := sqlite.Condition{Unverified: "the store was not closed, and is too large"}
	looks := conditionsOfAStore{{}, damaged, damaged, worse, worse, {}, unverified, {LogIsKept: true}}
	core, logs := observer.New(zap.InfoLevel)
	w := &storeWatch{embedded: &looks, logger: zap.New(core)}
	want := [][]string{
		1: {"a part of the store is damaged", "a response of a repeatable call"},
		3: {"an answer of inWebo was stored without", "the store's write-ahead log grows"},
		6: {"the store was not closed"},
		7: {"the store's write-ahead log grows"},
	}
	for i := range want {
		w.checkCondition(t.Context())
		var got []string
		for _, entry := range logs.TakeAll() {
			got = append(got, entry.Message)
		}
		if !slices.EqualFunc(got, want[i], strings.HasPrefix) {
			t.Errorf("look %d logs %q, want %q", i, got, want[i])
		}
		if i == 4 {
			note := w.describe(t.Context())
			for _, part := range []string{"index device_unread", "7 responses", "1 answer of inWebo", "300 MiB, because a reader"} {
				if !strings.Contains(note, part) {
					t.Errorf("/readyz?verbose says %q, want %q in it", note, part)
				}
			}
		}
	}
}

// The service tells the condition of its SQLite store in the metrics and to probes.
func TestTheServiceWatchesItsStore(t *testing.T) {
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	a, _, _ := runApp(t, io.Discard)
	_, metrics := get(t, client, "http://"+a.OpsAddress()+"/metrics")
	for _, name := range []string{"pimsd_stored_responses_lost_total", "pimsd_sqlite_settles_by_scan_total", "pimsd_sqlite_log_bytes"} {
		if !strings.Contains(metrics, "\n"+name+" ") {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	if status, text := get(t, client, "http://"+a.OpsAddress()+"/readyz?verbose"); status != http.StatusOK ||
		!strings.Contains(text, "\nstore's condition: ok\n") {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
}

// keysOfAStore is a store whose look-ups of its triggers return one error after the other.
type keysOfAStore struct {
	Store
	looks []error
}

func (k *keysOfAStore) CheckKeys(context.Context) error {
	next := k.looks[0]
	k.looks = k.looks[1:]
	return next
}

// A trigger that is dropped while the service runs is logged once, and again when it was there meanwhile; /readyz?verbose says it.
// Of a store that cannot be read it is not known.
func TestStoreWatchFindsDroppedTrigger(t *testing.T) {
	unread := errors.New("the store cannot be read")
	missing := fmt.Errorf("pimsd.db: %w", authn.ErrChangesUnnoticed)
	looks := keysOfAStore{looks: []error{nil, missing, unread, missing, nil, missing}}
	core, logs := observer.New(zap.InfoLevel)
	w := &storeWatch{store: &looks, logger: zap.New(core)}
	for i, want := range []struct {
		logged int
		noted  bool
	}{{}, {1, true}, {0, true}, {0, true}, {}, {1, true}} {
		w.checkKeys(t.Context())
		logged, note := len(logs.TakeAll()), w.describe(t.Context())
		if noted := strings.Contains(note, "a trigger of the table api_key"); logged != want.logged || noted != want.noted {
			t.Errorf("look %d logs %d lines, and /readyz?verbose says %q", i, logged, note)
		}
	}
}

// A trigger of a running service is dropped.
func TestServiceFindsDroppedTrigger(t *testing.T) {
	a, _, _ := runApp(t, io.Discard)
	if err := a.Store.CheckKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := zombiezen.OpenConn(filepath.Join(a.config.DataDir, sqlite.FileName), zombiezen.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, "DROP TRIGGER key_changed", nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	a.watched.checkKeys(t.Context())
	if note := a.watched.describe(t.Context()); !strings.Contains(note, "a trigger of the table api_key") {
		t.Errorf("/readyz?verbose would say %q", note)
	}
}

// epochs is a store whose reads find one epoch after the other. Of number 0 there is none: the read fails.
type epochs struct {
	Store
	reads []otp.Epoch
}

func (e *epochs) Epoch(context.Context) (otp.Epoch, error) {
	next := e.reads[0]
	e.reads = e.reads[1:]
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
	found := epochs{reads: []otp.Epoch{{Number: 1}, restored, {}, restored, promoted, promoted, older}}
	core, logs := observer.New(zap.InfoLevel)
	w := &storeWatch{store: &found, logger: zap.New(core)}
	for i, want := range []string{1: "store-restore", 4: "promotion", 6: "store-older"} {
		w.checkEpoch(t.Context())
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
