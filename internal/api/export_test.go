package api

import (
	"encoding/json"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/secret"
)

// ReadObject gives the names of a body in their order, and what each has for a value.
func ReadObject(body []byte) (names []string, values map[string]json.RawMessage, err error) {
	members, err := readObject(body)
	values = map[string]json.RawMessage{}
	for _, m := range members {
		names = append(names, m.name)
		values[m.name] = m.value
	}
	return names, values, err
}

// Judge returns the reason that an error is answered with.
func Judge(err error) errcodes.Reason { return New(Config{}).judge(err).reason }

// WholeSeconds is what a Retry-After says.
func WholeSeconds(d time.Duration) int64 { return wholeSeconds(d) }

// ParseRepeatKey reads the values of an Idempotency-Key.
func ParseRepeatKey(values []string) (string, error) { return parseRepeatKey(values) }

// ReadKept reads an answer that was kept.
func ReadKept(kept secret.Bytes) (any, error) { return readKept(kept) }
