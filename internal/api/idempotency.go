package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// idempotencyHeader names a call, so that a repeat of it is answered and not done again (docs/contract.md §5).
const idempotencyHeader = "Idempotency-Key"

// maxIdempotencyKey is the longest key, in bytes, without its quotes.
const maxIdempotencyKey = 255

var errIdempotencyKey = errors.New("the key of the call is not 1 to 255 printable ASCII characters, given once, quoted or bare")

// storedReply is the answer of the first call with a key, as the store has it.
type storedReply struct {
	Code   errcodes.Code   `json:"code"`
	Reason errcodes.Reason `json:"reason,omitempty"` // of a failure; answers that an earlier version kept have none
	Status int             `json:"status"`
	Body   string          `json:"body"`
}

// mapping returns the mapping that the first answer had.
func (r storedReply) mapping() errorMapping {
	m := mappingOf(r.Reason)
	return errorMapping{reason: m.reason, advice: m.advice, code: r.Code, status: r.Status}
}

// readStoredReply reads what the Answer of idempotentCall wrote.
func readStoredReply(stored secret.Bytes) (result storedReply, err error) {
	if err := json.Unmarshal(stored.Reveal(), &result); err != nil {
		return result, errors.New("an answer that was kept is not what was to be kept") // which err may quote
	}
	return result, nil
}

// idempotentCall returns what lets the call be repeated, or nil when its caller has not named it. The caller must be known by
// now, and the request valid: repeats are compared by what they ask for, however their bodies write it.
func idempotentCall[Req any](a *API, c *call, req Req) (*otp.IdempotentCall, error) {
	named, err := parseIdempotencyKey(c.request.Header.Values(idempotencyHeader))
	if err != nil || named == "" {
		return nil, err
	}
	e := c.event // as it is now: an answer may be kept when the call is long over
	account, key := otp.Account(e.Account), digest(e.Route, e.Caller, named)
	return &otp.IdempotentCall{
		Key:  key,
		Body: a.config.Fingerprints(account, key, canonical(req)),
		Answer: func(text secret.Text, err error) secret.Bytes {
			r := replyOf(e.Transaction, otpResult{text.Reveal()}, err)
			stored, _ := json.Marshal(storedReply{r.code, r.reason, r.status, string(r.body)})
			return secret.NewBytes(stored)
		},
	}, nil
}

// digest returns the identity of a call, which differs from that of every other call, as 64 hex digits.
func digest(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// parseIdempotencyKey reads the header's values. "" says that there is none. A key in quotes is what is between them, with a
// backslash before quotes and backslashes (RFC 9651 §3.3.3), and the same key as a bare one.
func parseIdempotencyKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	key, quoted := strings.CutPrefix(values[0], `"`)
	if quoted {
		var ok bool
		if key, ok = unquote(key); !ok {
			return "", errIdempotencyKey
		}
	}
	isBad := func(r rune) bool { return r < ' ' || r > '~' }
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, isBad) {
		return "", errIdempotencyKey
	}
	return key, nil
}

// unquote returns what is before the closing quote, which must be the last.
func unquote(text string) (string, bool) {
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return plain.String(), i == len(text)-1
		case '\\':
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return "", false
			}
		}
		plain.WriteByte(text[i])
	}
	return "", false
}
