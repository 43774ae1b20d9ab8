package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ErrNoKeyFile says that a keyring has no file that could be changed. Elsewhere a new key takes two rounds, for a process that
// has not got it yet must not meet what another has sealed under it.
var ErrNoKeyFile = errors.New("the sealing keys are not in a file that pimsd can change: where they are given, put a new one behind " +
	"the others and restart every process; then put it before them, and restart every process again;  " +
	"one that is not needed any more is taken out there")

// BeginRotation returns the key of the rotation that the keyring's file says is unfinished. If there is none, it puts the given
// key into the file, behind all others: it opens, and does not seal yet. It is durable when BeginRotation returns. That Promote
// is another step keeps the key from ever sealing before that.
func (r *Keyring) BeginRotation(key Key) (id KeyID, err error) {
	err = r.change(func(c contents) (contents, error) {
		if _, begun := (&state{keys: c.keys}).find(c.rotation); begun {
			id = c.rotation
			return c, nil
		}
		if _, there := (&state{keys: c.keys}).find(key.id); there {
			return c, fmt.Errorf("%s has key %s already", r.source, key.id)
		}
		id = key.id
		return contents{append(c.keys, key), key.id}, nil
	})
	return id, err
}

// EndRotation takes out of the keyring's file that a rotation is unfinished. A keyring from a text has nothing to take out.
func (r *Keyring) EndRotation() error {
	if r.path == "" {
		return nil
	}
	return r.change(func(c contents) (contents, error) {
		c.rotation = ""
		return c, nil
	})
}

// Promote makes the key of that name the current one, in the keyring's file: from now on it seals, in every process on it.
// It is durable when Promote returns.
func (r *Keyring) Promote(id KeyID) error {
	return r.change(func(c contents) (contents, error) {
		i, err := r.indexOf(c, id)
		if err == nil {
			c.keys = slices.Concat(c.keys[i:i+1], c.keys[:i], c.keys[i+1:])
		}
		return c, err
	})
}

// Remove takes the key of that name out of the keyring's file. It does not ask whether something is sealed under the key. The
// current key is refused.
func (r *Keyring) Remove(id KeyID) error {
	return r.change(func(c contents) (contents, error) {
		i, err := r.indexOf(c, id)
		switch {
		case err != nil:
			return c, err
		case i == 0:
			return c, fmt.Errorf("key %s is the current one: %w; pimsd seal rotate makes another one current", id, ErrKeyNeeded)
		case c.rotation == id:
			return c, fmt.Errorf("key %s is that of an unfinished rotation: %w; finish it with pimsd seal rotate", id, ErrKeyNeeded)
		}
		c.keys = slices.Delete(c.keys, i, i+1)
		return c, nil
	})
}

// ErrNoKey means that a keyring has no key of that name.
var ErrNoKey = errors.New("there is no such sealing key")

func (r *Keyring) indexOf(c contents, id KeyID) (int, error) {
	i := slices.IndexFunc(c.keys, func(key Key) bool { return key.id == id })
	if i < 0 {
		return 0, fmt.Errorf("%s has no key %s: %w", r.source, id, ErrNoKey)
	}
	return i, nil
}

// change rewrites the file, as it is now and not as the keyring has read it, while no other process does: a key that got
// lost here would take with it what was sealed under it meanwhile.
func (r *Keyring) change(edit func(contents) (contents, error)) error {
	if r.path == "" {
		return ErrNoKeyFile
	}
	path, err := filepath.EvalSymlinks(r.path) // what is replaced is the file, not a link to it
	if err != nil {
		return fmt.Errorf("find the key file: %w", err)
	}
	return whileLocked(filepath.Dir(path), func() error {
		c, info, err := readFile(path)
		if err == nil {
			err = r.state.Load().mayBecome(c.keys, r.source) // a foreign file must not get a key that then seals here
		}
		if err == nil {
			c, err = edit(c)
		}
		if err != nil {
			return err
		}
		if err := writeFile(path, c, info); err != nil {
			return err
		}
		return r.Reload()
	})
}

// makeFile makes a key file with one new key, unless there is a file by now.
func makeFile(path string) error {
	return whileLocked(filepath.Dir(path), func() error {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		key, err := NewKey(rand.Reader)
		if err != nil {
			return err
		}
		return writeFile(path, contents{keys: []Key{key}}, nil)
	})
}

// writeFile puts a file with the keys at path, durably and atomically: a process that opens path finds the old file or the new
// one, whole. The new one belongs to whom the old one belongs, if there is one: a command may run as another user than
// the service that must read it.
func writeFile(path string, c contents, old fs.FileInfo) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the sealing keys: %w", err)
		}
	}()
	text := format(c)
	if len(text) > fileLimit {
		return fmt.Errorf("%s would have %d keys, and could not be read beyond %d KiB: take out those that seal no record and that no backup "+
			"needs (pimsd seal list, pimsd seal remove)", path, len(c.keys), fileLimit>>10)
	}
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a process that died here
		return err
	}
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if old != nil {
		err = errors.Join(err, keepOwner(file, old), file.Chmod(old.Mode().Perm()))
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes durable which files are in dir.
func syncDirectory(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
