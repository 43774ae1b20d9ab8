package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// The decorator keeps the contract, also when every process that comes after has turned the ring.
func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Instance {
		memory, path := storetest.NewMemory(), newFile(t)
		var open func(t *testing.T) storetest.Instance
		open = func(t *testing.T) storetest.Instance {
			keyring := openFile(t, path, false)
			turn(t, keyring)
			return storetest.Instance{Store: seal.New(memory, keyring), Reader: memory, Reopen: open}
		}
		return open(t)
	})
}

// What the store beneath gets has nothing of the clear text, in any of the forms that text takes.
func TestNothingClearBeneath(t *testing.T) {
	t.Parallel()
	const canary = "c0ffee00112233445566778899aabbcc"
	var got []otp.Write
	inner := &storetest.Breaking{Store: storetest.NewMemory(), Decide: func(call storetest.Call) storetest.Fault {
		got = append(got, call.Write)
		return storetest.Fault{}
	}}
	store := seal.New(inner, keyringOf(t, line(1)))
	row := otp.Row{Account: "alice", Revision: 1, Body: []byte(`{"schema":1}`), Secrets: vault(`{"device":{"k1":"` + canary + `"}}`)}
	must(t, store.Create(t.Context(), otp.Write{ID: "a", Row: row}))
	row.Revision = 2
	must(t, store.Replace(t.Context(), otp.Write{ID: "b", Row: row}))
	if opened := fetch(t, store, "alice"); !bytes.Equal(opened.Secrets.Reveal(), row.Secrets.Reveal()) {
		t.Error("the vault comes back as another one")
	}
	if len(got) != 3 || got[0].Row.Secrets.IsEmpty() || got[1].Row.Secrets.IsEmpty() {
		t.Fatalf("the store beneath got %d calls", len(got))
	}
	for _, w := range got[:2] {
		inner := w.Row.Secrets.Reveal()
		for _, part := range []string{canary, canary[:8], string(unhex(t, canary)[:5]), "device"} {
			if bytes.Contains(inner, []byte(part)) {
				t.Errorf("the store beneath got %q in the vault", part)
			}
		}
		if !bytes.Equal(w.Row.Body, row.Body) {
			t.Error("the body is another one")
		}
	}
}

func TestEmptyVaultStaysEmpty(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	store := seal.New(memory, keyringOf(t, line(1)))
	must(t, store.Create(t.Context(), otp.Write{ID: "a", Row: otp.Row{Account: "alice", Revision: 1}}))
	if !fetch(t, memory, "alice").Secrets.IsEmpty() || !fetch(t, store, "alice").Secrets.IsEmpty() {
		t.Error("an empty vault does not stay empty")
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	keyring := keyringOf(t, line(1))
	create := func(account otp.Account, vault secret.Bytes) {
		must(t, memory.Create(t.Context(), otp.Write{ID: string(account), Row: otp.Row{Account: account, Revision: 1, Secrets: vault}}))
	}
	sealed := func(by *seal.Keyring, purpose seal.Purpose, account otp.Account) secret.Bytes {
		return secret.NewBytes(by.Seal(purpose, account, vault("canary")))
	}
	create("alice", sealed(keyring, seal.Secrets, "alice"))
	create("bob", sealed(keyring, seal.Secrets, "alice"))
	create("carol", sealed(keyring, "answer", "carol"))
	create("dave", sealed(keyringOf(t, line(2)), seal.Secrets, "dave"))
	create("erin", vault(`{"device":{"k0":"canary"}}`))

	store := seal.New(memory, keyring)
	for _, tc := range []struct {
		account otp.Account
		is      error
		says    string
	}{
		{"alice", nil, ""},
		{"bob", seal.ErrDamaged, string(keyring.Current())},
		{"carol", seal.ErrDamaged, string(keyring.Current())},
		{"dave", otp.ErrSealed, string(idOf(t, line(2)))},
		{"erin", seal.ErrDamaged, "not sealed"},
		{"frank", otp.ErrNotFound, ""},
	} {
		row, now, err := store.Fetch(t.Context(), tc.account)
		if !errors.Is(err, tc.is) || now.IsZero() {
			t.Errorf("%s: the error is %v, want %v; the time is %v", tc.account, err, tc.is, now)
		}
		if err == nil {
			continue
		}
		inner, _, _ := memory.Fetch(t.Context(), tc.account)
		if row.Account != inner.Account || row.Unopened != (inner.Account != "") || !bytes.Equal(row.Secrets.Reveal(), inner.Secrets.Reveal()) {
			t.Errorf("%s: the error does not come with the row as it is", tc.account)
		}
		if text := err.Error(); !strings.Contains(text, tc.says) || strings.Contains(text, "canary") ||
			tc.says != "" && !strings.Contains(text, string(tc.account)) {
			t.Errorf("%s: the error is %q, want one that says %q", tc.account, err, tc.says)
		}
	}
}

// A Write that is repeated after the keyring has turned is still the same Write, and the vault that came first stays.
func TestRepeatUnderAnotherKey(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	keyring := openFile(t, newFile(t), false)
	store := seal.New(memory, keyring)
	w := otp.Write{ID: "a", Row: otp.Row{Account: "alice", Revision: 1, Secrets: vault("x")}}
	must(t, store.Create(t.Context(), w))
	first := fetch(t, memory, "alice").Secrets.Reveal()
	turn(t, keyring)
	must(t, store.Create(t.Context(), w))
	if !bytes.Equal(fetch(t, memory, "alice").Secrets.Reveal(), first) {
		t.Error("the repeat changed the row")
	}
	if !bytes.Equal(fetch(t, store, "alice").Secrets.Reveal(), []byte("x")) || w.Row.Secrets.IsEmpty() {
		t.Error("the vault comes back as another one")
	}
}

// A Store without keys opens no vault, stores rows with theirs as they are, and refuses to store one that is not sealed.
func TestStoreWithoutKeys(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	store := seal.New(memory, keyringOf(t, line(1)))
	w := otp.Write{ID: "1", Row: otp.Row{Account: "alice", Revision: 1, Secrets: vault("canary")}}
	must(t, store.Create(t.Context(), w))
	unopened := seal.NewUnopened(memory)
	row, _, err := unopened.Fetch(t.Context(), "alice")
	if !errors.Is(err, otp.ErrSealed) || !row.Unopened {
		t.Fatalf("the row is %+v, %v", row, err)
	}
	row.Revision, row.Body = 2, []byte("{}")
	must(t, unopened.Replace(t.Context(), otp.Write{ID: "2", Row: row}))
	if row, _, err := store.Fetch(t.Context(), "alice"); err != nil || string(row.Secrets.Reveal()) != "canary" || string(row.Body) != "{}" {
		t.Errorf("with the keys the row is %+v, %v", row, err)
	}
	w.ID, w.Row.Revision = "3", 3
	if err := unopened.Replace(t.Context(), w); !errors.Is(err, otp.ErrNotApplied) {
		t.Errorf("a vault in the clear: %v", err)
	}
}
