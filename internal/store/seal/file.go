package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

// FileName is the name of the key file in a data directory.
const FileName = "seal.keys"

// fileLimit is more than any key file has: a bigger one is some other file.
const fileLimit = 64 << 10

// OpenFile makes a keyring of the key file at path. If the file is missing and mayCreate, it is made, with one new key,
// durably and readable for its owner alone; the caller must make sure that nothing is sealed yet, because no new key opens
// what an older one has sealed. The error names every line that is wrong, and no key.
func OpenFile(path string, mayCreate bool) (*Keyring, error) {
	if mayCreate {
		if err := makeFile(path); err != nil {
			return nil, err
		}
	}
	c, info, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key file %s is missing, and a new one would not open what may be sealed already: "+
			"put it back, or name the right one: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, err
	}
	r := &Keyring{source: sourceOf(path), path: path, reading: make(chan struct{}, 1), opened: time.Now()}
	r.state.Store(&state{keys: c.keys, info: info})
	return r, nil
}

// sourceOf returns the name of a key file in errors.
func sourceOf(path string) string { return "the key file " + path }

// Reload reads the file again, whether or not it has changed. After an error the keyring keeps the keys that it has; the
// error says what is wrong with the file, as Fault does. A keyring from a text has nothing to read.
func (r *Keyring) Reload() error {
	if r.path == "" {
		return nil
	}
	var err error
	if !r.readWithin(reloadTimeout, func() { err = r.reread() }) {
		return fmt.Errorf("%s: %w", r.source, errFileSilent)
	}
	return err
}

// refresh reads the file again if it has changed, or if it could not be used before. When it cannot be read, or the file system does not
// answer within refreshTimeout, the keys stay and the state has the fault.
func (r *Keyring) refresh() {
	if r.path == "" {
		return
	}
	r.checkedAt.Store(int64(time.Since(r.opened)))
	answered := r.readWithin(refreshTimeout, func() {
		if !r.state.Load().isOf(r.path) {
			_ = r.reread() // the state has the error
		}
	})
	if old := r.state.Load(); !answered && old.fault == nil {
		silent := &state{keys: old.keys, info: old.info, fault: fmt.Errorf("%s: %w", r.source, errFileSilent)}
		r.state.CompareAndSwap(old, silent) // unless the file has answered meanwhile
	}
}

// errFileSilent is the fault of a key file whose file system does not answer.
var errFileSilent = errors.New("its file system does not answer: see whether the volume is mounted and reachable")

// readWithin runs read, one call at a time, and reports whether it ended within the timeout. A read of a file system that does not
// answer cannot be interrupted: it continues without its caller, and no other read starts before it ends.
func (r *Keyring) readWithin(timeout time.Duration, read func()) (done bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case r.reading <- struct{}{}:
	case <-timer.C:
		return false
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { <-r.reading }()
		read()
	}()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

// reread reads the file, and uses its keys if mayBecome allows it. Only readWithin may call it.
func (r *Keyring) reread() error {
	old := r.state.Load()
	c, info, err := readFile(r.path)
	if err == nil {
		err = old.mayBecome(c.keys, r.source)
	}
	next := &state{keys: c.keys, info: info}
	if err != nil {
		next = &state{keys: old.keys, info: old.info, fault: err}
	}
	r.state.Store(next)
	return err
}

// mayBecome returns nil if the keys of a file may replace those in use. They may not if the current key is not among them, or if one of
// them has the name of another key in use.
func (s *state) mayBecome(keys []Key, source string) error {
	for _, key := range s.keys {
		for _, other := range keys {
			if other.id == key.id && !other.equal(key) {
				return fmt.Errorf("%s has another key under the name %s: %w; put the right file back", source, key.id, ErrCurrentKeyMissing)
			}
		}
	}
	current := s.keys[0].id
	if slices.ContainsFunc(keys, func(key Key) bool { return key.id == current }) {
		return nil
	}
	return fmt.Errorf("%s lacks key %s, under which records have been sealed until now: %w; put the right file back, "+
		"or give this one the key's line", source, current, ErrCurrentKeyMissing)
}

// isOf reports whether the state was read from the file as it is now.
func (s *state) isOf(path string) bool {
	info, err := os.Stat(path)
	return err == nil && s.fault == nil && os.SameFile(info, s.info) &&
		info.Size() == s.info.Size() && info.Mode() == s.info.Mode() && info.ModTime().Equal(s.info.ModTime())
}

// readFile reads the key file, and returns as which file it was read. Permissions are those of every file with a secret:
// [input.ReadSecretFile] has the rule.
func readFile(path string) (c contents, info fs.FileInfo, err error) {
	fault := func(err error) (contents, fs.FileInfo, error) {
		return contents{}, nil, fmt.Errorf("read the sealing keys: %w", err)
	}
	if info, err := os.Stat(path); err != nil {
		return fault(err)
	} else if !info.Mode().IsRegular() { // to open a pipe would wait for its other end
		return fault(fmt.Errorf("%s is not a file", path))
	}
	file, err := input.ReadSecretFile(path, fileLimit)
	if err != nil {
		return fault(err)
	}
	c.keys, err = parse(sourceOf(path), file.Content)
	c.rotation = rotationIn(file.Content)
	return c, file.Info, err
}
