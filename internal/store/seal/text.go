package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// parse reads the text of a ring: a key to a line, `id:base64` or only the base64 of its 32 bytes, the current one
// first. Empty lines and those that begin with # say nothing. An id that is given must be the key's.
func parse(source, text string) ([]Key, error) {
	var (
		keys   []Key
		lines  = map[KeyID]int{}
		faults []error
	)
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
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
	if len(keys)+len(faults) == 0 {
		return nil, fmt.Errorf("%s has no sealing key: give it one, the base64 of 32 random bytes", source)
	}
	return keys, errors.Join(faults...)
}

// parseKey reads one line. The errors quote nothing of it: a key may stand where an id should.
func parseKey(line string) (Key, error) {
	id, encoded, named := strings.Cut(line, ":")
	if !named {
		encoded = line
	}
	text, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(text) != keyBytes || strings.ContainsAny(encoded, "\r\n") {
		return Key{}, fmt.Errorf("is not a sealing key: give the base64 of %d bytes, alone or behind the key's id and a colon", keyBytes)
	}
	key := keyOf(text)
	if named && KeyID(id) != key.id {
		return Key{}, fmt.Errorf("has an id that is not the key's: its key is %s; if that is the right one, correct the id", key.id)
	}
	return key, nil
}

// format undoes parse.
func format(keys []Key) string {
	lines := []string{
		"# Sealing keys of pimsd: without them its records cannot be read. The first one is the current one.",
		"# Keep a copy apart from the copies of the records.",
	}
	for _, key := range keys {
		lines = append(lines, key.Text().Reveal())
	}
	return strings.Join(lines, "\n") + "\n"
}
