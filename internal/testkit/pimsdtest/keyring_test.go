package pimsdtest_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

const keysUsable = "pimsd_sealing_keys_usable"

func keyFile(d *pimsdtest.Daemon) string { return filepath.Join(d.Config.DataDir, seal.FileName) }

// replaceKeys puts a file with that text into the place of the key file, and returns what puts the right one back.
func replaceKeys(t *testing.T, d *pimsdtest.Daemon, text string) (restore func()) {
	t.Helper()
	path := keyFile(d)
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(text []byte) {
		if err := os.WriteFile(path+".next", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte(text))
	return func() { put(right) }
}

func foreignKeys() string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)) + "\n"
}

// A key file of another store, that replaces the right one while the service runs, seals nothing: the device survives it.
func TestForeignKeyFileWhileServing(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	alice := d.Enroll("alice", "1234")
	if status, text := d.Ops("/readyz?verbose"); status != http.StatusOK || !strings.Contains(text, "sealing keys: ok") {
		t.Errorf("before: /readyz?verbose: %d %s", status, text)
	}
	for _, text := range []string{foreignKeys(), ""} {
		restore := replaceKeys(t, d, text)
		until(t, "readiness fails", func() bool { status, _ := d.Ops("/readyz"); return status == http.StatusServiceUnavailable })
		if _, text := d.Ops("/readyz?verbose"); !strings.Contains(text, "sealing keys: failed: the key file "+keyFile(d)) {
			t.Errorf("/readyz?verbose says %s", text)
		}
		if d.Metrics()[keysUsable] != 0 {
			t.Error("the metric says that the keys are good")
		}
		if !alice.Verify(alice.OTP("1234").OTP) {
			t.Error("no good OTP while the file is a foreign one")
		}
		restore()
		until(t, "readiness is back", func() bool { status, _ := d.Ops("/readyz"); return status == http.StatusOK })
		d.Restart()
		if !alice.Verify(alice.OTP("1234").OTP) {
			t.Error("no good OTP when the right file is back")
		}
	}
	for _, said := range []string{"the sealing keys, as they are now, cannot be used", "the sealing keys can be used again"} {
		if n := strings.Count(d.Log(), said); n != 2 {
			t.Errorf("the log says %d times that %s, want once for each of two files", n, said)
		}
	}
}

// Without its key file a process goes on serving with the keys in memory; the operators are told.
func TestKeyFileIsGoneWhileServing(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	alice := d.Enroll("alice", "1234")
	if err := os.Rename(keyFile(d), keyFile(d)+".away"); err != nil {
		t.Fatal(err)
	}
	until(t, "the metric falls", func() bool { return d.Metrics()[keysUsable] == 0 })
	if status, text := d.Ops("/readyz?verbose"); status != http.StatusOK || !strings.Contains(text, "sealing keys: ok, but only in memory: ") {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
	if !alice.Verify(alice.OTP("1234").OTP) {
		t.Error("no good OTP without the file")
	}
	if err := os.Rename(keyFile(d)+".away", keyFile(d)); err != nil {
		t.Fatal(err)
	}
	until(t, "the metric is back", func() bool { return d.Metrics()[keysUsable] == 1 })
}

// A service does not start on a key file of another store, and starts with the right one; nothing was sealed in between.
func TestServiceDoesNotStartWithForeignKeys(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	alice := d.Enroll("alice", "1234")
	d.Stop()
	restore := replaceKeys(t, d, foreignKeys())
	if _, err := app.New(t.Context(), d.Config, io.Discard); !errors.Is(err, seal.ErrCurrentKeyMissing) {
		t.Errorf("the start with foreign keys: %v", err)
	}
	if err := os.Remove(keyFile(d)); err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(t.Context(), d.Config, io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the start without keys: %v", err)
	}
	restore()
	d.Restart()
	if !alice.Verify(alice.OTP("1234").OTP) {
		t.Error("no good OTP with the right keys")
	}
}

// A record whose key is gone keeps no other account from OTPs, and the service from nothing.
func TestOneRecordWithoutItsKey(t *testing.T) {
	t.Parallel()
	d := pimsdtest.Start(t)
	lost := d.Enroll("lost", "1234")
	right, err := os.ReadFile(keyFile(d))
	if err != nil {
		t.Fatal(err)
	}
	replaceKeys(t, d, foreignKeys()+string(right))
	d.Restart() // the start records in the store that the new key seals; a running service does so up to a second later
	good := d.Enroll("good", "1234")
	replaceKeys(t, d, foreignKeys())
	d.Restart()
	if !good.Verify(good.OTP("1234").OTP) {
		t.Error("no good OTP for the account whose key is there")
	}
	wantFailure(t, lost.OTP("1234"), 500, 2006, fifteen()[2006], false)
	if status, text := d.Ops("/readyz?verbose"); status != http.StatusOK {
		t.Errorf("/readyz?verbose: %d %s", status, text)
	}
}
