package postgres_test

import (
	"iter"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
)

// A store that is filled with the contents of another has its former devices, in their order, and its epoch.
func TestLoadFormerDevices(t *testing.T) {
	former := []otp.Row{
		{Account: "b", Revision: 3, Body: []byte("{}"), Claim: otp.Claim{Serial: "A/_/1"}, Former: true},
		{Account: "a", Revision: 5, Body: []byte("[]"), Claim: otp.Claim{Serial: "a/_/1"}, Former: true},
		{Account: "b", Revision: 2, Body: []byte("{}"), Claim: otp.Claim{Serial: "a/_/1"}, Former: true},
	}
	store := open(t, server.Database(t))
	contents := postgres.Contents{
		Rows: func(func(otp.Row, error) bool) {}, Lines: func(func(otp.AuditRecord, error) bool) {}, Former: withoutErrors(former),
		Epoch: otp.Epoch{Number: 7, Since: time.UnixMicro(5).UTC(), Cause: "restore"},
	}
	if err := store.Load(t.Context(), contents); err != nil {
		t.Fatal(err)
	}
	if epoch, err := store.Epoch(t.Context()); err != nil || epoch != contents.Epoch {
		t.Errorf("its epoch is %+v (%v), want %+v", epoch, err, contents.Epoch)
	}
	var after otp.Row
	for _, want := range former {
		rows, err := store.ListFormer(t.Context(), after, 1)
		if err != nil || len(rows) != 1 {
			t.Fatalf("after %+v there is %+v (%v)", after, rows, err)
		}
		after = rows[0]
		if after.Account != want.Account || after.Revision != want.Revision || string(after.Body) != string(want.Body) ||
			after.Claim != want.Claim || !after.Former {
			t.Errorf("listed is %+v, want %+v", after, want)
		}
	}
	if rows, err := store.ListFormer(t.Context(), after, 1); err != nil || len(rows) != 0 {
		t.Errorf("after the last one there is %+v (%v)", rows, err)
	}
}

func withoutErrors(rows []otp.Row) iter.Seq2[otp.Row, error] {
	return func(yield func(otp.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}
