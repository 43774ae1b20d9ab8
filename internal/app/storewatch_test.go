package app

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

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
	damaged := sqlite.Condition{Damage: "index device_held", ResponsesLost: 1}
	worse := sqlite.Condition{Damage: "index device_held", ResponsesLost: 7, SettlesByScan: 1, LogIsKept: true, LogBytes: 300 << 20}
	unverified := sqlite.Condition{Unverified: "the store was not closed, and is too large"}
	looks := conditionsOfAStore{{}, damaged, damaged, worse, worse, {}, unverified, {LogIsKept: true}}
	core, logs := observer.New(zap.InfoLevel)
	w := &storeWatch{store: &looks, logger: zap.New(core)}
	want := [][]string{
		1: {"a part of the store is damaged", "a response of a repeatable call"},
		3: {"an answer of inWebo was stored without", "the store's write-ahead log grows"},
		6: {"the store was not closed"},
		7: {"the store's write-ahead log grows"},
	}
	for i := range want {
		w.check(t.Context())
		var got []string
		for _, entry := range logs.TakeAll() {
			got = append(got, entry.Message)
		}
		if !slices.EqualFunc(got, want[i], strings.HasPrefix) {
			t.Errorf("look %d logs %q, want %q", i, got, want[i])
		}
		if i == 4 {
			note := w.describe(t.Context())
			for _, part := range []string{"index device_held", "7 responses", "1 answer of inWebo", "300 MiB, because a reader"} {
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

// A store that tells no condition is not watched.
func TestAStoreWithoutACondition(t *testing.T) {
	w := &storeWatch{logger: zap.NewNop()}
	w.run(t.Context())
	if note := w.describe(t.Context()); note != "" {
		t.Error(note)
	}
}
