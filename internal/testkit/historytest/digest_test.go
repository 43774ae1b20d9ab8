package historytest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// digest identifies the state of a history: what the store has, what inWebo has, and what the checker knows. Two histories of the same
// digest go on in the same way, unless a process sleeps or knows something that is stored nowhere; see search.
func (h *harness) digest() string {
	d := &description{now: h.now()}
	for _, account := range h.accounts {
		r, found := h.record(account)
		d.add("record", found, r)
		if found && r.Device != nil {
			d.add("keys", keysOf(r, r.Device.State))
			if r.Device.Fallback != nil {
				d.add("other keys", keysOf(r, r.Device.Fallback.State))
			}
		}
	}
	for _, id := range h.site.DeviceIDs() {
		truth := h.site.expected(id)
		truth.Counters = inwebosim.Counters{WrongInARow: truth.WrongInARow}
		truth.OTPs = nil
		d.add("device", truth)
	}
	account, err := h.site.AccountState(h.login)
	must(h.t, err)
	account.Guesses.Wrong = 0
	d.add("account", account)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(h.wrongs)) {
		for _, e := range h.wrongs[name] {
			d.add("wrong", name, e.at, e.at.Sub(e.here), e.settled != 0, e.isOld, e.isExcused)
		}
	}
	d.add("checker", h.issuedAt, h.leapt, h.lags, h.wasSilent, h.inStepAt, h.files)
	for _, account := range h.accounts {
		d.add("silent", h.isSilent[account])
	}
	sum := sha256.Sum256([]byte(d.canonical(h)))
	return hex.EncodeToString(sum[:16])
}

// description is the text of a state. Times are relative to now.
type description struct {
	now  time.Time
	text strings.Builder
}

func (d *description) add(name string, values ...any) {
	d.text.WriteString(name)
	for _, v := range values {
		d.text.WriteByte(' ')
		d.value(reflect.ValueOf(v))
	}
	d.text.WriteByte('\n')
}

func (d *description) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Invalid:
	case reflect.Pointer, reflect.Interface:
		d.value(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() && v.CanInterface() {
			d.time(v.Interface().(time.Time))
			return
		}
		for field, value := range v.Fields() {
			d.text.WriteString(" " + field.Name + "=")
			d.value(value)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(&d.text, "%x", v)
			return
		}
		for i := range v.Len() {
			d.text.WriteByte(';')
			d.value(v.Index(i))
		}
	case reflect.String:
		format := "%s"
		if strings.ContainsFunc(v.String(), func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
			format = "%x" // a secret of bytes
		}
		fmt.Fprintf(&d.text, format, v)
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		for _, key := range keys {
			fmt.Fprintf(&d.text, ";%v:", key)
			d.value(v.MapIndex(key))
		}
	default:
		fmt.Fprintf(&d.text, "%v", v)
	}
}

func (d *description) time(t time.Time) {
	if t.IsZero() {
		d.text.WriteString("never")
		return
	}
	d.text.WriteString(t.Sub(d.now).String())
}

// canonical names what is drawn at random in the order in which it appears, and the history's own names alike in all histories.
func (d *description) canonical(h *harness) string {
	text := strings.NewReplacer(
		h.login, "login", h.code.Reveal(), "code", string(h.accounts[0]), "first account", string(h.accounts[1]), "second account",
	).Replace(d.text.String())
	named := map[string]string{}
	var canonical strings.Builder
	for at := 0; at < len(text); {
		end := at
		for end < len(text) && isOfWord(text[end]) {
			end++
		}
		word := text[at:end]
		switch {
		case end == at:
			end++
			canonical.WriteByte(text[at])
		case isDrawn(text[:at], word):
			if named[word] == "" {
				named[word] = fmt.Sprintf("#%d", len(named))
			}
			canonical.WriteString(named[word])
		default:
			canonical.WriteString(word)
		}
		at = end
	}
	return canonical.String()
}

func isOfWord(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '-'
}

// isDrawn reports whether the word after a text is drawn at random, or is a time of inWebo's own clock: an id, a key or a secret in hex, a
// challenge, or seconds since 1970.
func isDrawn(before, word string) bool {
	const hexDigits, digits, shortest = "0123456789abcdefABCDEF-", "0123456789-", 16
	if strings.HasSuffix(before, "Challenge=") || strings.HasSuffix(before, "<defi>") {
		return true
	}
	isHex := strings.Trim(word, hexDigits) == "" && len(word) >= shortest
	return isHex || len(word) == len("1700000000") && word[0] == '1' && strings.Trim(word, digits) == ""
}
