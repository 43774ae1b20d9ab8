package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// keepKey makes the key of an answer.
func keepKey(letter string) string { return strings.Repeat(letter, 64) }

// keeping is a write that keeps an answer.
func keeping(revision uint64, key, answer string, isOTP bool) otp.Write {
	w := write("alice", revision)
	w.Response = &otp.KeyedResponse{Key: key, IsOTP: isOTP, StoredResponse: otp.StoredResponse{
		At: time.Now(), Fingerprint: []byte("print of " + answer), Answer: secret.NewBytes([]byte(answer)),
	}}
	return w
}

// expectKept fails unless that answer is what is kept under the key; an empty one says that the key is spent.
func expectKept(t testing.TB, s otp.Store, key, answer string) {
	t.Helper()
	found, err := Snapshot(t.Context(), s, "alice", key)
	must(t, err)
	kept := found.Response
	if kept == nil {
		t.Errorf("nothing is kept, want %q", answer)
		return
	}
	fingerprint := "print of " + answer
	if answer == "" {
		fingerprint = ""
	}
	if got := string(kept.Answer.Reveal()); got != answer || !bytes.Equal(kept.Fingerprint, []byte(fingerprint)) {
		t.Errorf("kept is %q with the fingerprint %q, want %q", got, kept.Fingerprint, answer)
	}
}

func expectNotKept(t testing.TB, s otp.Store, account otp.Account, key string) {
	t.Helper()
	if found, err := Snapshot(t.Context(), s, account, key); found.Response != nil || err != nil {
		t.Errorf("a response that was never kept: %v, %v", found.Response, err)
	}
}

// A row that was deleted before its settle is made again, with the answer of the settle.
func testCreateAndKeep(t *testing.T, s Instance) {
	a, b := keepKey("a"), keepKey("b")
	first := keeping(1, a, "an OTP", true)
	for range 2 { // a repeat is the same as once
		must(t, s.Create(t.Context(), first))
	}
	if err := s.Create(t.Context(), keeping(1, b, "too late", true)); !errors.Is(err, otp.ErrExists) {
		t.Errorf("a second create: %v", err)
	}
	expectKept(t, s, a, "an OTP")
	expectNotKept(t, s, "alice", b)
	expectRow(t, fetch(t, s, "alice"), first.Row, true)
}

// An answer becomes durable with the record, or not at all.
func testKeep(t *testing.T, s Instance) {
	ctx := t.Context()
	a, b, c := keepKey("a"), keepKey("b"), keepKey("c")
	must(t, s.Create(ctx, write("alice", 1)))
	expectNotKept(t, s, "alice", a)
	must(t, s.DiscardResponse(ctx, "alice", a)) // of nothing

	first := keeping(2, a, "an OTP", true)
	if err := s.Replace(ctx, keeping(3, b, "too early", true)); !errors.Is(err, otp.ErrConflict) {
		t.Errorf("a write that does not fit: %v", err)
	}
	must(t, s.Replace(ctx, first))
	must(t, s.Replace(ctx, first))
	expectKept(t, s, a, "an OTP")
	expectNotKept(t, s, "alice", b)
	expectNotKept(t, s, "bob", a)
	found, err := Snapshot(ctx, s, "alice", a)
	must(t, err)
	kept, now := found.Response, found.Now
	expectRow(t, found.Row, fetch(t, s, "alice"), true)
	if now.IsZero() || kept == nil {
		t.Fatalf("the row and its response: at %v, %v", now, kept)
	}
	if !kept.At.Equal(first.Response.At.Truncate(time.Microsecond)) || kept.At.Location() != time.UTC {
		t.Errorf("kept at %v, want %v in UTC", kept.At, first.Response.At)
	}

	must(t, s.Replace(ctx, keeping(3, a, "another OTP", true)))
	must(t, s.Replace(ctx, keeping(4, b, "a refusal", false)))
	must(t, s.Replace(ctx, keeping(5, b, "another refusal", false)))
	must(t, s.Replace(ctx, keeping(6, a, "a refusal after an OTP", false)))
	expectKept(t, s, a, "an OTP")
	expectKept(t, s, b, "a refusal")
	must(t, s.Replace(ctx, keeping(7, b, "a late OTP", true)))
	expectKept(t, s, b, "a late OTP")

	must(t, s.Replace(ctx, keeping(8, c, "a refusal", false)))
	must(t, s.DiscardResponse(ctx, "alice", c))
	must(t, s.DiscardResponse(ctx, "alice", c))
	must(t, s.Replace(ctx, keeping(9, c, "an OTP that comes too late", true)))
	expectKept(t, s, c, "")

	s = s.Reopen(t)
	expectKept(t, s, a, "an OTP")
	expectKept(t, s, b, "a late OTP")
	expectKept(t, s, c, "")
	expectRow(t, fetch(t, s, "alice"), otp.Row{Account: "alice", Revision: 9, Body: fetch(t, s, "alice").Body}, false)
}

// Answers go before their keys.
func testForget(t *testing.T, s Instance) {
	ctx := t.Context()
	aged := func(revision uint64, key string, age time.Duration) {
		t.Helper()
		w := keeping(revision, key, "an OTP", true)
		w.Response.At = w.Response.At.Add(-age)
		must(t, s.Replace(ctx, w))
	}
	must(t, s.Create(ctx, write("alice", 1)))
	fresh, old, ancient := keepKey("a"), keepKey("b"), keepKey("c")
	aged(2, fresh, 0)
	aged(3, old, time.Hour)
	aged(4, ancient, 30*time.Hour)
	for range 2 {
		must(t, s.Reader.ForgetAnswers(ctx, time.Minute, 24*time.Hour))
		expectKept(t, s, fresh, "an OTP")
		expectKept(t, s, old, "")
		expectNotKept(t, s, "alice", ancient)
	}
	for start, want := range map[string]int{"an OTP": 1, "print of an": 1, "an OTQ": 0, "OTP": 0} { // a decorator may seal it
		if got, err := s.Reader.CountAnswersUnder(ctx, []byte(start)); err != nil || got > want || got < want && start == "print of an" {
			t.Errorf("%d kept answers start with %q, %v; want %d", got, start, err, want)
		}
	}
	must(t, s.Reader.ForgetAnswers(ctx, 0, 0))
	expectNotKept(t, s, "alice", fresh)

	// The time of one that the clock left in the future is set to now: it lasts once more as long as any other.
	ahead := keepKey("d")
	aged(5, ahead, -10*365*24*time.Hour)
	must(t, s.Reader.ForgetAnswers(ctx, time.Minute, 24*time.Hour))
	expectKept(t, s, ahead, "")
	must(t, s.Reader.ForgetAnswers(ctx, 0, 0))
	expectNotKept(t, s, "alice", ahead)
}
