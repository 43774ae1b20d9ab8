package main

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// durable is where the floor makes its two writes of an OTP durable.
type durable interface {
	// append writes text for the account, which is in one conversation at a time.
	append(ctx context.Context, account string, text []byte) error
}

// records is pimsd's SQLite store with nothing around it: what the floor takes in place of its journal to show what the
// store alone costs. Each write replaces the account's row, with an audit line, and the first of each two reads it before.
type records struct {
	store *sqlite.Store

	mu   sync.Mutex
	held map[string]otp.Row
}

// openRecords makes a store in dir with an empty row for each account of the fleet.
func openRecords(ctx context.Context, dir string, f fleet) (*records, error) {
	store, err := sqlite.OpenOrCreate(ctx, sqlite.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	errs := make([]error, f.Count)
	var all sync.WaitGroup
	for i := range f.Count {
		all.Go(func() {
			account := f.account(i)
			errs[i] = store.Create(ctx, writeOf(otp.Row{Account: otp.Account(account), Revision: 1, Body: []byte("{}")}))
		})
	}
	all.Wait()
	return &records{store: store, held: map[string]otp.Row{}}, errors.Join(errs...)
}

func (r *records) append(ctx context.Context, account string, text []byte) error {
	r.mu.Lock()
	row, held := r.held[account]
	delete(r.held, account)
	r.mu.Unlock()
	var err error
	if !held {
		if row, _, err = r.store.Fetch(ctx, otp.Account(account)); err != nil {
			return err
		}
	}
	const sealed = 256 // bytes of a device, as it is sealed
	row.Revision++
	row.Body, row.Vault = text[:len(text)-sealed], secret.NewBytes(text[len(text)-sealed:])
	if err := r.store.Replace(ctx, writeOf(row)); err != nil || held {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[account] = row
	return nil
}

// writeOf is a write of the row, with an audit line as long as others.
func writeOf(row otp.Row) otp.Write {
	id := "01234567-89ab-cdef-0123-456789abcdef"
	return otp.Write{
		ID:  string(row.Account) + "/" + strconv.FormatUint(row.Revision, 10),
		Row: row,
		Line: otp.Line{
			Account: row.Account, Caller: "key:0123456789ab", Transaction: id, Action: "otp", Stage: otp.StageAttempt, Step: row.Revision,
		},
	}
}
