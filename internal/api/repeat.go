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

// repeatHeader is what a caller names a call with, to repeat it without having it done again (docs/contract.md §5).
const repeatHeader = "Idempotency-Key"

// maxRepeatKey is the longest key, in bytes, without its quotes.
const maxRepeatKey = 255

var errRepeatKey = errors.New("the key of the call is not 1 to 255 printable ASCII characters, given once, quoted or bare")

// repeated is a result that was kept: the answer that the first call got.
type repeated struct {
	Code   errcodes.Code   `json:"code"`
	Reason errcodes.Reason `json:"reason,omitempty"` // of a failure; answers that an earlier version kept have none
	Status int             `json:"status"`
	Body   string          `json:"body"`
}

// verdictOf returns how the answer is given again.
func (a *API) verdictOf(r repeated) verdict {
	v := a.verdicts[r.Reason]
	return verdict{reason: v.reason, advice: v.advice, code: r.Code, status: r.Status}
}

// readKept reads what repeatOf had kept.
func readKept(kept secret.Bytes) (result repeated, err error) {
	if err := json.Unmarshal(kept.Reveal(), &result); err != nil {
		return result, errors.New("an answer that was kept is not what was to be kept") // which err may quote
	}
	return result, nil
}

// repeatOf returns what lets the call be repeated, or nil when its caller has not named it. The caller must be known by
// now, and the request valid: repeats are compared by what they ask for, however their bodies write it.
func repeatOf[Req any](a *API, c *call, req Req) (*otp.Repeat, error) {
	named, err := parseRepeatKey(c.request.Header.Values(repeatHeader))
	if err != nil || named == "" {
		return nil, err
	}
	e := c.event // as it is now: an answer may be kept when the call is long over
	account, key := otp.Account(e.Account), digest(e.Route, e.Caller, named)
	return &otp.Repeat{
		Key:  key,
		Body: a.config.Fingerprints(account, key, canonical(req)),
		Answer: func(text secret.Text, err error) secret.Bytes {
			r := a.reply(e.Transaction, otpResult{text.Reveal()}, err)
			kept, _ := json.Marshal(repeated{r.code, r.reason, r.status, string(r.body)})
			return secret.NewBytes(kept)
		},
	}, nil
}

// digest names a call by what tells it from others, in 64 hex digits.
func digest(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// parseRepeatKey reads the header's values. "" says that there is none. A key in quotes is what is between them, with a
// backslash before quotes and backslashes (RFC 9651 §3.3.3), and the same key as a bare one.
func parseRepeatKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	key, quoted := strings.CutPrefix(values[0], `"`)
	if quoted {
		var ok bool
		if key, ok = unquote(key); !ok {
			return "", errRepeatKey
		}
	}
	isBad := func(r rune) bool { return r < ' ' || r > '~' }
	if len(values) > 1 || key == "" || len(key) > maxRepeatKey || strings.ContainsFunc(key, isBad) {
		return "", errRepeatKey
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
