package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/otp"
)

const theStamps = "stamps"

// namedStamps is how many records and keys with stamps from the future are named.
const namedStamps = 5

// adviceOnStamps is what follows from stamps of the future.
const adviceOnStamps = "A clock was wrong for a while. The next call of an account corrects its record, and what its stamps bind ends " +
	"after one more setting; `pimsd account unlock --quota` clears a quota at once. Revoke a key that was made under the wrong clock: " +
	"it expires too late."

// inspectStamps finds records and API keys with stamps that are ahead of the store's clock. A record that cannot be read is passed
// over: another finding is about those.
func inspectStamps(ctx context.Context, store Store, now time.Time) Finding {
	if now.IsZero() {
		return skipped(theStamps, "the store's clock cannot be read")
	}
	var ahead future
	rows := paged(otp.Account(""), func(after otp.Account) ([]otp.Row, error) { return store.List(ctx, after, page) }, accountOf)
	for row, err := range rows {
		if err != nil {
			return unlooked(ctx, theStamps, err)
		}
		if is, err := otp.HasFutureStamps(row, now); err == nil && is {
			ahead.add(fmt.Sprintf("account %q", row.Account))
		}
	}
	keys, err := store.ListKeys(ctx)
	if err != nil {
		return unlooked(ctx, theStamps, err)
	}
	for _, key := range keys {
		if latest := now.Add(tolerable); key.CreatedAt.After(latest) || key.LastUsedAt.After(latest) {
			ahead.add("API key " + key.ID)
		}
	}
	if ahead.count == 0 {
		return passes(theStamps, "no record and no API key has one from the future")
	}
	return note(theStamps, fmt.Sprintf("records and API keys with stamps from the future: %d (%s)", ahead.count, ahead), adviceOnStamps)
}

// future is what has stamps from the future.
type future struct {
	count int
	named []string
}

func (f *future) add(name string) {
	if f.count++; f.count <= namedStamps {
		f.named = append(f.named, name)
	}
}

// String returns the first names.
func (f future) String() string {
	text := strings.Join(f.named, ", ")
	if f.count > namedStamps {
		text += ", …"
	}
	return text
}
