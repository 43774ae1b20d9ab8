package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// A stored response that does not open is one that is spent: the call was made, and must not be made again. The record, without
// which no call is possible, is returned.
func TestADamagedResponseIsSpent(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	store, key := seal.New(memory, keyringOf(t, line(1))), strings.Repeat("a", 64)
	must(t, store.Create(t.Context(), otp.Write{ID: "1", Row: otp.Row{Account: "alice", Revision: 1, Secrets: vault("secret")}}))
	sealed := otp.Write{ID: "2", Row: fetch(t, memory, "alice"), Response: &otp.KeyedResponse{Key: key, IsOTP: true, StoredResponse: otp.StoredResponse{
		Fingerprint: []byte("fingerprint"), Answer: vault("not as it was sealed"),
	}}}
	sealed.Row.Revision = 2
	must(t, memory.Replace(t.Context(), sealed))

	found, err := storetest.Snapshot(t.Context(), store, "alice", key)
	if err != nil || found.Fault != nil || string(found.Row.Secrets.Reveal()) != "secret" {
		t.Errorf("the record is %+v (%v)", found, err)
	}
	if kept := found.Response; kept == nil || !kept.Answer.IsEmpty() {
		t.Errorf("the response is %+v, want one that is spent", kept)
	}
}

// A record that another process has sealed under a newer key opens in the same call: the file is read again before the call is refused.
func TestUpdateReadsTheFileForAMissingKey(t *testing.T) {
	t.Parallel()
	memory, path := storetest.NewMemory(), newFile(t)
	keyring, other := openFile(t, path, false), openFile(t, path, false)
	turn(t, other)
	must(t, seal.New(memory, other).Create(t.Context(), otp.Write{ID: "1", Row: otp.Row{Account: "alice", Revision: 1, Secrets: vault("secret")}}))

	found, err := storetest.Snapshot(t.Context(), seal.New(memory, keyring), "alice", "")
	if err != nil || found.Fault != nil || string(found.Row.Secrets.Reveal()) != "secret" {
		t.Errorf("the record is %+v (%v)", found, err)
	}
}

// A response whose key is missing is a fault: what it answers is not known, and the call must not be made again.
func TestAResponseUnderAMissingKeyIsAFault(t *testing.T) {
	t.Parallel()
	memory, key := storetest.NewMemory(), strings.Repeat("a", 64)
	must(t, seal.New(memory, keyringOf(t, line(2))).Create(t.Context(), otp.Write{
		ID: "1", Row: otp.Row{Account: "alice", Revision: 1}, Response: &otp.KeyedResponse{Key: key, IsOTP: true, StoredResponse: otp.StoredResponse{
			Fingerprint: []byte("fingerprint"), Answer: vault("an OTP"),
		}},
	}))
	found, err := storetest.Snapshot(t.Context(), seal.New(memory, keyringOf(t, line(1))), "alice", key)
	if err != nil || !errors.Is(found.Fault, otp.ErrSealed) {
		t.Errorf("without its key: %+v (%v)", found, err)
	}
	found, err = storetest.Snapshot(t.Context(), seal.New(memory, keyringOf(t, line(1), line(2))), "alice", key)
	if err != nil || found.Fault != nil || found.Response == nil || string(found.Response.Answer.Reveal()) != "an OTP" {
		t.Errorf("with its key: %+v (%v)", found, err)
	}
}
