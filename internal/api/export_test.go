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

// Verdict is what the table says of a cause.
type Verdict struct {
	Cause      error
	Code       errcodes.Code
	HTTP       int
	RetryAfter bool
}

// Verdicts is the table.
func Verdicts() []Verdict {
	var table []Verdict
	for _, v := range verdicts() {
		table = append(table, Verdict{v.cause, v.code, v.status, v.retry > 0})
	}
	return table
}

// Judge gives the cause of the first row of the table that fits err.
func Judge(err error) error { return judge(verdicts(), err).cause }

// WholeSeconds is what a Retry-After says.
func WholeSeconds(d time.Duration) int64 { return wholeSeconds(d) }

// ParseRepeatKey reads the values of an Idempotency-Key.
func ParseRepeatKey(values []string) (string, error) { return parseRepeatKey(values) }

// ReadKept reads an answer that was kept.
func ReadKept(kept secret.Bytes) (any, error) { return readKept(kept) }
