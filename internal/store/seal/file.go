package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

// FileName is the name of the key file in a data directory.
const FileName = "seal.keys"

// fileLimit is more than any key file has: a bigger one is some other file.
const fileLimit = 64 << 10

// OpenFile makes a ring of the key file at path. If the file is missing and mayCreate, it is made, with one new key,
// durably and readable for its owner alone; who calls has made sure that nothing is sealed yet, for no new key opens
// what an older one has sealed. The error names every line that is wrong, and no key.
func OpenFile(path string, mayCreate bool) (*Ring, error) {
	if mayCreate {
		if err := makeFile(path); err != nil {
			return nil, err
		}
	}
	keys, info, err := readFile(path)
	if err != nil {
		return nil, ifMissing(path, err)
	}
	r := &Ring{source: sourceOf(path), path: path, opened: time.Now()}
	r.known.Store(&known{keys: keys, info: info})
	return r, nil
}

// ifMissing says of a key file that is not there what that means; other errors it leaves.
func ifMissing(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("the key file %s is missing, and a new one would not open what may be sealed already: "+
		"put it back, or name the right one: %w", path, fs.ErrNotExist)
}

// sourceOf is how errors speak of a key file.
func sourceOf(path string) string { return "the key file " + path }

// Reload reads the file again, whether or not it has changed. After an error the ring keeps the keys that it has; the
// error says what is wrong with the file, as a health check may want to know. A ring from a text has nothing to read.
func (r *Ring) Reload() error {
	if r.path == "" {
		return nil
	}
	r.read.Lock()
	defer r.read.Unlock()
	return r.reread()
}

// follow reads the file again if it has changed, or could not be read before. All that can come of a fault is that
// nothing is learnt: the keys stay, and who misses a key is told why.
func (r *Ring) follow() {
	if r.path == "" {
		return
	}
	r.looked.Store(int64(time.Since(r.opened)))
	if r.known.Load().isOf(r.path) {
		return
	}
	r.read.Lock()
	defer r.read.Unlock()
	if !r.known.Load().isOf(r.path) { // nobody else was quicker
		_ = r.reread()
	}
}

// reread must be called by who holds r.read.
func (r *Ring) reread() error {
	keys, info, err := readFile(r.path)
	if err != nil {
		old := r.known.Load()
		keys, info = old.keys, old.info
	}
	r.known.Store(&known{keys, info, err})
	return err
}

// isOf tells whether it was read from the file as it is now.
func (k *known) isOf(path string) bool {
	info, err := os.Stat(path)
	return err == nil && k.fault == nil && os.SameFile(info, k.info) &&
		info.Size() == k.info.Size() && info.ModTime().Equal(k.info.ModTime())
}

// readFile reads the key file, and says as which file it was read.
func readFile(path string) (keys []Key, info fs.FileInfo, err error) {
	info, err = lendFile(path, func(text []byte) error {
		keys, err = parse(sourceOf(path), text)
		return err
	})
	return keys, info, err
}

// lendFile lets use have the text of the key file, which is gone when it returns, and returns as which file it was read.
// Permissions are those of every file with a secret: [input.ReadSecretFile] has the rule.
func lendFile(path string, use func(text []byte) error) (fs.FileInfo, error) {
	fault := func(err error) (fs.FileInfo, error) { return nil, fmt.Errorf("read the sealing keys: %w", err) }
	if info, err := os.Stat(path); err != nil {
		return fault(err)
	} else if !info.Mode().IsRegular() { // to open a pipe would wait for its other end
		return fault(fmt.Errorf("%s is not a file", path))
	}
	file, err := input.ReadSecretFile(path, fileLimit)
	if err != nil {
		return fault(err)
	}
	defer clear(file.Content)
	return file.Info, use(file.Content)
}
