package seal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Names are the ids of a keyring's keys without the keys: what it takes to say which records the keyring would open. Who has
// them has no key in memory.
type Names struct {
	source string  // as in a Keyring
	ids    []KeyID // at least one; the first is the current one's
}

// NamesInText names the keys that FromText would make a keyring of, with the same errors.
func NamesInText(source string, text secret.Text) (Names, error) {
	bytes := []byte(text.Reveal())
	defer clear(bytes)
	return readNames(source, bytes)
}

// NamesInFile names the keys that OpenFile would make a keyring of, with the same errors. Nothing of the file stays in memory.
func NamesInFile(path string) (n Names, err error) {
	_, err = lendFile(path, func(text []byte) error {
		n, err = readNames(sourceOf(path), text)
		return err
	})
	return n, ifMissing(path, err)
}

func readNames(source string, text []byte) (Names, error) {
	n := Names{source: source}
	err := eachKey(source, text, func(id KeyID, _ []byte) { n.ids = append(n.ids, id) })
	if err != nil {
		return Names{}, err
	}
	return n, nil
}

// Current names the key that seals.
func (n Names) Current() KeyID { return n.ids[0] }

// Keys names all keys, the current one first.
func (n Names) Keys() []KeyID { return slices.Clone(n.ids) }

// Check tells whether the keys open everything that the census has counted. The error wraps otp.ErrSealed and names
// every key that is missing, with the number of records that need it.
func (n Names) Check(census Census) error {
	var missing []string
	for _, id := range census.Keys() {
		if id != Unsealed && !slices.Contains(n.ids, id) {
			missing = append(missing, fmt.Sprintf("%s (%d records)", id, census[id]))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s lacks keys that records are sealed under: %s; give it their lines back: %w",
		n.source, strings.Join(missing, ", "), otp.ErrSealed)
}
