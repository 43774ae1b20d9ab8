package seal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// put creates or replaces an account's record with n in its vault, and returns the row as it was written.
func put(t testing.TB, store otp.Store, account otp.Account, revision uint64, n int, held time.Time) (otp.Row, error) {
	t.Helper()
	body := fmt.Appendf(nil, `{"schema":1,"step":%d}`, n)
	if !held.IsZero() { // a first enrollment, whose row does not say it
		body = fmt.Appendf(nil, `{"schema":1,"step":%d,"hold":{"until":%q}}`, n, held.Format(time.RFC3339Nano))
	}
	w := otp.Write{
		ID:         fmt.Sprintf("%s/%d/%s", account, revision, t.Name()[:min(20, len(t.Name()))]),
		Row:        otp.Row{Account: account, Revision: revision, InDoubt: n%2 == 1, Body: body, Secrets: vault(fmt.Sprintf(`{"n":%d}`, n))},
		AuditEntry: otp.AuditEntry{Account: account, Action: "otp"},
	}
	verb := store.Replace
	if revision == 1 {
		verb = store.Create
	}
	return w.Row, verb(context.WithoutCancel(t.Context()), w)
}

// fill creates that many records.
func fill(t testing.TB, store otp.Store, accounts int) {
	t.Helper()
	for i := range accounts {
		_, err := put(t, store, otp.Account(fmt.Sprint("account ", i)), 1, i, time.Time{})
		must(t, err)
	}
}

// rotations returns the audit lines of rotations.
func rotations(t testing.TB, memory *storetest.Memory) (lines []otp.AuditEntry) {
	t.Helper()
	all, err := memory.AuditAfter(t.Context(), 0, 1<<20)
	must(t, err)
	for _, line := range all {
		if line.Action == "seal-rotate" {
			lines = append(lines, line.AuditEntry)
		}
	}
	return lines
}

func expectCensus(t testing.TB, memory *storetest.Memory, want seal.KeyUsage) {
	t.Helper()
	if got, err := seal.Count(t.Context(), memory); err != nil || !maps.Equal(got, want) {
		t.Errorf("the census is %v (%v), want %v", got, err, want)
	}
}

func TestCensus(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	expectCensus(t, memory, seal.KeyUsage{})
	fill(t, seal.New(memory, keyringOf(t, line(1))), 450)
	_, err := put(t, seal.New(memory, keyringOf(t, line(2))), "other", 1, 0, time.Time{})
	must(t, err)
	_, err = put(t, memory, "clear", 1, 0, time.Time{})
	must(t, err)
	must(t, memory.Create(t.Context(), otp.Write{ID: "e", Row: otp.Row{Account: "empty", Revision: 1, Body: []byte("{}")}}))
	must(t, memory.Create(t.Context(), otp.Write{ID: "u", Row: otp.Row{Account: "unreadable", Revision: 1}}))
	expectCensus(t, memory, seal.KeyUsage{idOf(t, line(1)): 450, idOf(t, line(2)): 1, seal.Unsealed: 2})
}

// A rotation changes nothing of a record but its seal and its revision, and leaves one line in the audit log for each.
func TestRotate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const accounts = 450
		memory := storetest.NewMemory()
		keyring := openFile(t, newFile(t), false)
		store := seal.New(memory, keyring)
		fill(t, store, accounts)
		must(t, store.Create(t.Context(), otp.Write{ID: "e", Row: otp.Row{Account: "empty", Revision: 1, Body: []byte("{}")}}))
		_, err := put(t, store, "hold is over", 1, 7, time.Now().Add(-time.Second))
		must(t, err)
		before, err := memory.List(t.Context(), "", 1000)
		must(t, err)
		id := turn(t, keyring)

		var last seal.Progress
		rotation := seal.Rotation{Rows: memory, Store: memory, Keyring: keyring, Caller: "command", Progress: func(p seal.Progress) { last = p }}
		must(t, rotation.Run(t.Context()))

		if want := (seal.Progress{Found: accounts + 1, Sealed: accounts + 1}); last != want {
			t.Errorf("the progress ends with %+v, want %+v", last, want)
		}
		expectCensus(t, memory, seal.KeyUsage{id: accounts + 1})
		for _, was := range before {
			is, opened := fetch(t, memory, was.Account), fetch(t, store, was.Account)
			if was.Account == "empty" {
				if is.Revision != 1 || !is.Secrets.IsEmpty() {
					t.Error("a record without a vault was changed")
				}
				continue
			}
			old, err := keyring.Open(seal.Secrets, was.Account, was.Secrets.Reveal())
			must(t, err)
			same := is.Revision == 2 && is.InDoubt == was.InDoubt && is.LeasedUntil.Equal(was.LeasedUntil) &&
				string(is.Body) == string(was.Body) && string(opened.Secrets.Reveal()) == string(old.Reveal())
			if !same {
				t.Fatalf("more was changed of the record than its seal: %+v, after it was %+v", is, was)
			}
		}
		lines := rotations(t, memory)
		if len(lines) != accounts+1 {
			t.Fatalf("the audit log has %d lines of the rotation", len(lines))
		}
		line, step := lines[len(lines)-1], uint64(7)
		if line.At.IsZero() || line.At.After(time.Now()) {
			t.Errorf("the time of a line is %v", line.At)
		}
		line.At = time.Time{}
		want := otp.AuditEntry{
			Account: "hold is over", Caller: "command", Action: "seal-rotate", Stage: otp.StageOutcome, Outcome: "done", Step: step,
		}
		if line != want {
			t.Errorf("a line is %+v, want %+v", line, want)
		}

		must(t, rotation.Run(t.Context())) // there is nothing left to do
		if again := rotations(t, memory); len(again) != len(lines) {
			t.Errorf("another rotation sealed %d records", len(again)-len(lines))
		}
	})
}

// A rotation that was killed anywhere, with its last write stored or not, is ended by the next, which does no record
// twice.
func TestRotateKilledAndResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const accounts = 9
		for killedAt := range int64(2*accounts + 1) {
			for _, fault := range []storetest.Fault{{Err: otp.ErrNotApplied}, {Err: errors.New("no answer"), Applied: true}} {
				memory := storetest.NewMemory()
				keyring := openFile(t, newFile(t), false)
				fill(t, seal.New(memory, keyring), accounts)
				id := turn(t, keyring)
				killed := &storetest.Breaking{Store: memory, Decide: func(call storetest.Call) storetest.Fault {
					if call.N > killedAt {
						return fault
					}
					return storetest.Fault{}
				}}
				rotation := seal.Rotation{Rows: memory, Store: killed, Keyring: keyring}
				if err := rotation.Run(t.Context()); killedAt < 2*accounts && !errors.Is(err, fault.Err) {
					t.Fatalf("killed at call %d, it says %v", killedAt, err)
				}
				rotation.Store = memory
				must(t, rotation.Run(t.Context()))
				expectCensus(t, memory, seal.KeyUsage{id: accounts})
				if lines := rotations(t, memory); len(lines) != accounts {
					t.Errorf("killed at call %d: %d records were resealed, want %d", killedAt, len(lines), accounts)
				}
			}
		}
	})
}

func TestRotateStopsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		keyring := openFile(t, newFile(t), false)
		_, err := put(t, seal.New(memory, keyring), "alice", 1, 0, time.Now().Add(time.Minute))
		must(t, err)
		turn(t, keyring)
		for _, timeout := range []time.Duration{time.Second, 12 * time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			err := seal.Rotation{Rows: memory, Store: memory, Keyring: keyring}.Run(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the error is %v", err)
			}
		}
	})
}

// Records that do not open are left as they are, and hinder none of the others.
func TestRotateWithRecordsThatDoNotOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		keyring := keyringOf(t, line(2), line(1))
		create := func(account otp.Account, by *seal.Keyring, of otp.Account, body string) {
			sealed := by.Seal(seal.Secrets, of, vault(`{}`))
			must(t, memory.Create(t.Context(), otp.Write{
				ID: string(account), Row: otp.Row{Account: account, Revision: 1, Body: []byte(body), Secrets: secret.NewBytes(sealed)},
			}))
		}
		good := `{"schema":1}`
		create("a missing key", keyringOf(t, line(3)), "a missing key", good)
		create("b swapped", keyringOf(t, line(1)), "alice", good)
		create("c of another schema", keyringOf(t, line(1)), "c of another schema", `{"schema":99}`)
		create("d", keyringOf(t, line(1)), "d", good)
		_, err := put(t, memory, "e in the clear", 1, 0, time.Time{})
		must(t, err)

		var last seal.Progress
		err = seal.Rotation{Rows: memory, Store: memory, Keyring: keyring, Progress: func(p seal.Progress) { last = p }}.Run(t.Context())
		for _, part := range []string{"4 records", "a missing key", string(idOf(t, line(3)))} {
			if !errors.Is(err, otp.ErrSealed) || !strings.Contains(err.Error(), part) {
				t.Errorf("the error is %v, want one that says %q", err, part)
			}
		}
		if want := (seal.Progress{Found: 5, Sealed: 1, Failed: 4}); last != want {
			t.Errorf("the progress ends with %+v, want %+v", last, want)
		}
		expectCensus(t, memory, seal.KeyUsage{idOf(t, line(1)): 2, idOf(t, line(2)): 1, idOf(t, line(3)): 1, seal.Unsealed: 1})
	})
}

// A record that was sealed before its process saw the new key, and stored after the rotation has begun, is found.
func TestRotateFindsWhatWasOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		slow := &storetest.Breaking{Store: memory, Decide: func(storetest.Call) storetest.Fault {
			time.Sleep(5 * time.Second)
			return storetest.Fault{}
		}}
		keyring := openFile(t, newFile(t), false)
		go func() {
			if _, err := put(t, seal.New(slow, keyring), "late", 1, 0, time.Time{}); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		id := turn(t, keyring)
		must(t, seal.Rotation{Rows: memory, Store: memory, Keyring: keyring}.Run(t.Context()))
		expectCensus(t, memory, seal.KeyUsage{id: 1})
	})
}

// A record that is deleted after it was listed is done.
func TestRotateOfADeletedRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		_, err := put(t, seal.New(memory, keyringOf(t, line(1))), "alice", 1, 0, time.Time{})
		must(t, err)
		deleting := &storetest.Breaking{Store: memory, Decide: func(storetest.Call) storetest.Fault {
			memory.Delete("alice")
			return storetest.Fault{}
		}}
		var last seal.Progress
		must(t, seal.Rotation{
			Rows: memory, Store: deleting, Keyring: keyringOf(t, line(2), line(1)), Progress: func(p seal.Progress) { last = p },
		}.Run(t.Context()))
		if want := (seal.Progress{Found: 1, Sealed: 1}); last != want {
			t.Errorf("the progress ends with %+v, want %+v", last, want)
		}
	})
}

// A record that somebody else changes under the rotation's hands is looked at again.
func TestRotateAfterAConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		old, both := keyringOf(t, line(1)), keyringOf(t, line(2), line(1))
		_, err := put(t, seal.New(memory, old), "alice", 1, 1, time.Time{})
		must(t, err)
		rivals := 0
		contended := &storetest.Breaking{Store: memory, Decide: func(call storetest.Call) storetest.Fault {
			if call.Verb == storetest.Replace && rivals < 3 {
				rivals++
				_, err := put(t, seal.New(memory, old), "alice", call.Write.Row.Revision, 10+rivals, time.Time{})
				must(t, err)
			}
			return storetest.Fault{}
		}}
		go func() {
			time.Sleep(time.Second) // long before the rotation goes through the records again
			expectCensus(t, memory, seal.KeyUsage{both.Current(): 1})
			if row := fetch(t, seal.New(memory, both), "alice"); row.Revision != 5 || string(row.Secrets.Reveal()) != `{"n":13}` {
				t.Errorf("the record has revision %d and not what was written last", row.Revision)
			}
		}()
		must(t, seal.Rotation{Rows: memory, Store: contended, Keyring: both}.Run(t.Context()))
	})
}

// While the keyring is turned and records are sealed again, 16 conversations at a time go on on 24 devices, and devices are
// enrolled; all of them from another process, whose writes take up to 5 s from their seal to the store. No one loses a
// write or a hold, and in the end nothing is left under the old key.
func TestRotateWhileWritersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const devices, conversations = 24, 40
		memory, path := storetest.NewMemory(), newFile(t)
		slow := &storetest.Breaking{Store: memory, Decide: func(call storetest.Call) storetest.Fault {
			if call.Verb != storetest.Fetch {
				time.Sleep(time.Duration(call.N*call.N%51) * 100 * time.Millisecond)
			}
			return storetest.Fault{}
		}}
		service := seal.New(slow, openFile(t, path, false))
		fill(t, service, devices)

		var all sync.WaitGroup
		for i := range devices {
			account := otp.Account(fmt.Sprint("account ", i))
			all.Go(func() {
				for n := range conversations {
					converse(t, service, account, 100*i+n)
				}
			})
			all.Go(func() {
				for n := range conversations {
					_, err := put(t, service, otp.Account(fmt.Sprint("new ", i, " ", n)), 1, n, time.Time{})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		time.Sleep(20 * time.Second)
		keyring := openFile(t, path, false)
		id := turn(t, keyring)
		must(t, seal.Rotation{Rows: memory, Store: memory, Keyring: keyring}.Run(t.Context()))
		usage, err := seal.Count(t.Context(), memory)
		if err != nil || len(usage) != 1 || usage[id] == 0 {
			t.Errorf("after the rotation the census is %v (%v); the current key is %s", usage, err, id)
		}
		all.Wait()
		expectCensus(t, memory, seal.KeyUsage{id: devices * (1 + conversations)})
		for i := range devices {
			row := fetch(t, service, otp.Account(fmt.Sprint("account ", i)))
			if want := fmt.Sprintf(`{"n":%d}`, 100*i+conversations-1); string(row.Secrets.Reveal()) != want {
				t.Errorf("%s has the vault %s, want %s", row.Account, row.Secrets.Reveal(), want)
			}
		}
		if len(rotations(t, memory)) == 0 {
			t.Error("the rotation had nothing to do")
		}
	})
}

// converse holds the device, talks for a while, and settles n; a settle must never meet a conflict.
func converse(t *testing.T, store otp.Store, account otp.Account, n int) {
	for {
		row := fetch(t, store, account)
		held, err := put(t, store, account, row.Revision+1, n, time.Now().Add(17*time.Second))
		if errors.Is(err, otp.ErrConflict) {
			continue
		}
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(time.Duration(n%10) * 100 * time.Millisecond)
		if _, err := put(t, store, account, held.Revision+1, n, time.Time{}); err != nil {
			t.Errorf("who holds %s cannot settle: %v", account, err)
		}
		return
	}
}
