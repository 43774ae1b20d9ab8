package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/secret"
)

// parse reads the text of a keyring: a key to a line, `id:base64` or only the base64 of its 32 bytes, the current one
// first. Empty lines and those that begin with # say nothing. An id that is given must be the key's.
func parse(source string, text []byte) (keys []Key, err error) {
	var (
		lines  = map[KeyID]int{}
		faults []error
	)
	for i, line := range bytes.Split(input.Trim(text), []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := parseKey(line)
		if first := lines[key.id]; err == nil && first > 0 {
			err = fmt.Errorf("is the key of line %d again; remove one", first)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: line %d %w", source, i+1, err))
			continue
		}
		lines[key.id] = i + 1
		keys = append(keys, key)
	}
	if len(lines)+len(faults) == 0 {
		return nil, fmt.Errorf("%s has no sealing key: %w; put the keys back, or add one for a new store: the base64 of 32 random bytes",
			source, ErrCurrentKeyMissing)
	}
	return keys, errors.Join(faults...)
}

// parseKey reads one line. The errors quote nothing of it, because a key may appear where an id should.
func parseKey(line []byte) (Key, error) {
	given, encoded, named := bytes.Cut(line, []byte(":"))
	if !named {
		encoded = line
	}
	key, err := base64.StdEncoding.Strict().DecodeString(string(encoded))
	if err != nil || len(key) != keyBytes || bytes.ContainsAny(encoded, "\r\n") {
		return Key{}, fmt.Errorf("is not a sealing key: write the base64 of %d bytes, alone or behind the key's id and a colon", keyBytes)
	}
	id := idOf(key)
	if named && KeyID(given) != id {
		return Key{}, fmt.Errorf("has an id that is not the key's: its key is %s; if that is the right one, correct the id", id)
	}
	return Key{id, secret.NewBytes(key)}, nil
}

// contents is what a key file says.
type contents struct {
	keys []Key
	// rotation names the key of a rotation that has begun and is not finished; empty when there is none.
	rotation KeyID
}

// rotationMark begins the line that names the key of an unfinished rotation. It is a comment for whatever reads only keys.
const rotationMark = "# unfinished rotation to key "

// format undoes parse and rotationIn.
func format(c contents) string {
	lines := []string{
		"# Sealing keys of pimsd: without them its records cannot be read. The first one is the current one.",
		"# Keep a copy apart from the copies of the records.",
	}
	if c.rotation != "" {
		lines = append(lines, rotationMark+string(c.rotation))
	}
	for _, key := range c.keys {
		lines = append(lines, key.Text().Reveal())
	}
	return strings.Join(lines, "\n") + "\n"
}

// rotationIn returns the key of an unfinished rotation, if the text names one.
func rotationIn(text []byte) (id KeyID) {
	for line := range bytes.Lines(text) {
		if name, marked := bytes.CutPrefix(bytes.TrimSpace(line), []byte(rotationMark)); marked {
			id = KeyID(name)
		}
	}
	return id
}
