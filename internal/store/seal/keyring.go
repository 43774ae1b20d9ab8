package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Keyring has sealing keys: the current one, which seals, and others, which only open. It is safe for concurrent use.
//
// A keyring from a file follows the file. refresh checks whether the file has changed; it runs when a key is not known, and before a
// seal unless the last check is less than refreshDelay old. So every process on one file seals under a new current key a second after
// the file has it. A check is one stat(2); only a changed file is read.
//
// A changed file is used only if it still has the key that has sealed until then. A file without that key belongs to another store, or
// comes from an old backup; a device sealed under its keys would be lost when the right file is back. The keyring then keeps its keys,
// and Fault returns the reason.
type Keyring struct {
	source string // in errors: the name of a setting, or of a file
	path   string // of the file; empty when the keyring comes from a text
	state  atomic.Pointer[state]
	// reading is a lock: the goroutine that reads the file has put its one token in.
	reading chan struct{}

	opened    time.Time
	checkedAt atomic.Int64 // when the file was last checked, in nanoseconds since opened
}

// refreshDelay is how long a keyring may go on with the keys of a file that has changed.
const refreshDelay = time.Second

const (
	// refreshTimeout bounds how long a check of the file may delay its caller, which may have an answer of inWebo to store.
	refreshTimeout = time.Second
	// reloadTimeout is refreshTimeout for Reload.
	reloadTimeout = 10 * time.Second
)

// state is the keys and the file that they are from. A new state replaces the old one; no state is changed.
type state struct {
	keys  []Key       // at least one; the first is the current one
	info  fs.FileInfo // of the file from which they were read
	fault error       // why the file, as it is now, cannot be used; nil means that it can
}

// ErrCurrentKeyMissing means that the key which seals is not among the keys of a file, or of a keyring, that must have it.
var ErrCurrentKeyMissing = errors.New("the current sealing key is missing")

// FromText makes a keyring of a text: the value of a setting, or the content of a credential. source is the name under
// which errors speak of it. The error names every line that is wrong, and no key.
func FromText(source string, text secret.Text) (*Keyring, error) {
	keys, err := parse(source, []byte(text.Reveal()))
	if err != nil {
		return nil, err
	}
	r := &Keyring{source: source}
	r.state.Store(&state{keys: keys})
	return r, nil
}

// Fault checks the file, and returns why the keyring cannot use it as it is now; nil means that the keyring has the keys of the file.
// It wraps ErrCurrentKeyMissing when the file can be read and lacks the key that seals here. With any fault the keyring
// goes on with the keys that it has, but a process that starts now does not have them. A keyring from a text has no faults.
func (r *Keyring) Fault() error {
	r.refresh()
	return r.state.Load().fault
}

// Current returns the name of the key that seals.
func (r *Keyring) Current() KeyID { return r.current().id }

// Keys checks the file, and returns the names of all keys, the current one first.
func (r *Keyring) Keys() (ids []KeyID) {
	r.refresh()
	for _, key := range r.state.Load().keys {
		ids = append(ids, key.id)
	}
	return ids
}

// Check returns nil when the keyring's keys open everything that was counted. The error wraps otp.ErrSealed and names
// every key that is missing, with the number of records that need it.
func (r *Keyring) Check(usage KeyUsage) error {
	ids := r.Keys()
	var missing []string
	for _, id := range usage.Keys() {
		if id != Unsealed && !slices.Contains(ids, id) {
			missing = append(missing, fmt.Sprintf("%s (%s)", id, input.Count(usage[id], "record")))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s lacks keys that records are sealed under: %s; put their lines back: %w",
		r.source, strings.Join(missing, ", "), otp.ErrSealed)
}

// current returns the key that seals. It checks the file unless that was done within refreshDelay.
func (r *Keyring) current() Key {
	if time.Since(r.opened)-time.Duration(r.checkedAt.Load()) >= refreshDelay {
		r.refresh()
	}
	return r.state.Load().keys[0]
}

// key returns the key of that name. The error continues a sentence that ends with "under".
func (r *Keyring) key(id KeyID) (Key, error) {
	if key, ok := r.state.Load().find(id); ok {
		return key, nil
	}
	r.refresh()
	now := r.state.Load()
	if key, ok := now.find(id); ok {
		return key, nil
	}
	if now.fault != nil {
		return Key{}, fmt.Errorf("key %s, which is not known: %w: %w", id, otp.ErrSealed, now.fault)
	}
	return Key{}, fmt.Errorf("key %s, which %s does not have; put the key's line back: %w", id, r.source, otp.ErrSealed)
}

// unwatched returns a keyring with the keys that r has now, which reads no file.
func (r *Keyring) unwatched() *Keyring {
	now := &Keyring{source: r.source}
	now.state.Store(r.state.Load())
	return now
}

func (s *state) find(id KeyID) (Key, bool) {
	i := slices.IndexFunc(s.keys, func(key Key) bool { return key.id == id })
	if i < 0 {
		return Key{}, false
	}
	return s.keys[i], true
}
