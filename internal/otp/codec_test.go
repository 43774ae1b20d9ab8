package otp

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/secret"
)

// earlierRow is a row as versions wrote it that kept records as JSON, filled up with blanks.
func earlierRow(t *testing.T) Row {
	t.Helper()
	text, err := os.ReadFile("testdata/record-json.json")
	if err != nil {
		t.Fatal(err)
	}
	var row struct{ Body, Secrets json.RawMessage }
	if err := json.Unmarshal(text, &row); err != nil {
		t.Fatal(err)
	}
	return Row{Account: "a", Revision: 3, Body: append(row.Body, "   "...), Secrets: secret.NewBytes(row.Secrets)}
}

// A record that an earlier version has stored is read, and its next write gives body and vault the form of today.
func TestRecordOfAnEarlierVersionIsMigrated(t *testing.T) {
	r, err := Decode(earlierRow(t))
	if err != nil {
		t.Fatal(err)
	}
	want := enrolledRecord()
	want.Account, want.Revision, want.legacy = "a", 3, true
	if !reflect.DeepEqual(r, want) {
		t.Fatalf("read as %+v, want %+v", r, want)
	}
	next := r
	next.Revision, next.Guard.Wrong = 4, 1
	w, err := writeOver("id", &r, &next, AuditEntry{})
	if err != nil || w.SameSecrets || w.Row.Secrets.IsEmpty() || w.Row.Body[0] == '{' || w.Row.Secrets.Reveal()[0] == '{' {
		t.Fatalf("written as %q (%v)", w.Row.Body, err)
	}
	again, err := Decode(w.Row)
	if next.legacy = false; err != nil || !reflect.DeepEqual(again, next) {
		t.Errorf("read again as %+v (%v), want %+v", again, err, next)
	}
	body, vault := w.Row, w.Row
	body.Secrets, vault.Body = earlierRow(t).Secrets, earlierRow(t).Body
	for name, row := range map[string]Row{"body": body, "vault": vault} {
		if r, err := Decode(row); err != nil || !r.legacy {
			t.Errorf("of a record with the %s of today, the other is not written again (%v)", name, err)
		}
	}
}

// Only a write that moves a key, or an answer that is kept, names a vault.
func TestWritesNameAVaultOnlyWhenItMoved(t *testing.T) {
	stored := enrolledRecord()
	device := func(change func(*Device)) func(*Record) {
		return func(r *Record) {
			d := *r.Device
			change(&d)
			r.Device = &d
		}
	}
	for name, test := range map[string]struct {
		change func(*Record)
		same   bool
	}{
		"nothing":            {func(*Record) {}, true},
		"a wrong PIN":        {func(r *Record) { r.Guard.Wrong++ }, true},
		"a name":             {device(func(d *Device) { d.Name = "new" }), true},
		"a key":              {device(func(d *Device) { d.State.Keys.K1 = secret.NewText(strings.Repeat("c", 32)) }), false},
		"a key as sent":      {device(func(d *Device) { d.State.Unproven.K1 = secret.NewText(strings.Repeat("c", 32)) }), false},
		"another state":      {device(func(d *Device) { d.Fallback = &Fallback{State: d.State} }), false},
		"no device":          {func(r *Record) { r.Device = nil }, false},
		"an enrollment":      {func(r *Record) { r.Enrollment = &Enrollment{Phase: PhaseEnrolling} }, false},
		"an unread answer":   {func(r *Record) { r.Unread = []UnreadAnswer{{Step: 1}} }, false},
		"a vault not opened": {func(r *Record) { r.sealed = secret.NewBytes([]byte("sealed")) }, false},
	} {
		next := stored
		next.Revision++
		test.change(&next)
		w, err := writeOver("id", &stored, &next, AuditEntry{})
		if err != nil || w.SameSecrets != test.same || test.same && !w.Row.Secrets.IsEmpty() {
			t.Errorf("%s: the vault stays %v, want %v (%v)", name, w.SameSecrets, test.same, err)
		}
	}
	kept, read := stored, stored
	kept.Unread = []UnreadAnswer{{Step: 1}}
	read.Revision++
	if w, err := writeOver("id", &kept, &read, AuditEntry{}); err != nil || w.SameSecrets {
		t.Errorf("an answer that is not kept any more stays (%v)", err)
	}
	first := stored
	first.Revision = 1
	if w, err := writeOver("id", &Record{}, &first, AuditEntry{}); err != nil || w.SameSecrets || w.Row.Secrets.IsEmpty() {
		t.Errorf("the first write of an account lacks its vault (%v)", err)
	}
}

// A record without keys and kept answers has no vault.
func TestRecordsWithoutAVault(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		record Record
		want   bool
	}{
		"nothing":          {Record{}, false},
		"a serial":         {Record{Serial: "s"}, false},
		"a device":         {Record{Device: &Device{}}, true},
		"an enrollment":    {Record{Enrollment: &Enrollment{}}, true},
		"an unread answer": {Record{Unread: []UnreadAnswer{{Step: 1}}}, true},
	} {
		if row, err := encode(&tc.record, false); err != nil || row.Secrets.IsEmpty() == tc.want {
			t.Errorf("%s: there is a vault: %v, want %v (%v)", name, !row.Secrets.IsEmpty(), tc.want, err)
		}
	}
}

// CBOR that a record cannot have written is damage, whatever a decoder could make of it. Only unknown names are passed over.
func TestDecodingIsStrict(t *testing.T) {
	row, err := encode(&Record{Account: "a", Revision: 1, Step: 5}, false)
	if err != nil {
		t.Fatal(err)
	}
	whole := row.Body
	pairs := whole[0] & 0x1f // of a map with less than 24
	with := func(more string) []byte {
		return append(append([]byte{0xa0 | pairs + 1}, whole[1:]...), more...)
	}
	for name, text := range map[string][]byte{
		"a name twice":            with("\x64step\x01"),
		"behind the end":          append(bytes.Clone(whole), 0),
		"cut":                     whole[:len(whole)-1],
		"a tag":                   append([]byte{0xc1}, whole...),
		"of no known length":      append(append([]byte{0xbf}, whole[1:]...), 0xff),
		"nested too deep":         with("\x61x" + strings.Repeat("\x81", 40) + "\x01"),
		"a list without an end":   with("\x61x\x9b\x00\x00\x00\x00\xff\xff\xff\xff"),
		"a text that is no UTF-8": with("\x68blocking\x61\xff"),
		"a number":                {0x05},
	} {
		row.Body = text
		if _, err := Decode(row); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	row.Body = with("\x61x\x01")
	if r, err := Decode(row); err != nil || r.Step != 5 {
		t.Errorf("an unknown name: %+v, %v", r, err)
	}
}
