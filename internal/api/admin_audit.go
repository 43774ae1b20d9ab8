package api

import (
	"context"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// Bounds of long polls.
const (
	MaxPoll      = time.Minute // that one may wait
	maxPolls     = 64          // under way at once, shared among callers as places are
	pollInterval = time.Second // between two looks at the log
)

// auditPage is a page of the audit log. Next is what `after` must be for the next page.
type auditPage struct {
	Lines []otp.AuditRecord `json:"lines"`
	Next  int64             `json:"next"`
}

// readAudit returns the lines of the audit log that concern the caller. With `wait` it waits for the first of them; it holds
// no place then, since it does nothing but wait, and ends when the service drains.
func (ad *administration) readAudit(c *adminCall) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.number("after", 0, 0, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	wait, err := waitIn(c.query)
	if err != nil {
		return nil, err
	}
	if wait == 0 {
		if err := ad.acquirePlace(c.call); err != nil {
			return nil, err
		}
		page, _, err := ad.auditPageOf(c.request.Context(), c.principal, after, limit)
		return page, err
	}
	release, ok := ad.polls.Acquire(c.request.Context(), admission.Call{Caller: c.event.Caller})
	if !ok {
		return nil, errOverload
	}
	defer release()
	return ad.poll(c.call, c.principal, after, limit, wait)
}

// poll looks at the log again and again until it has a line for the caller. Each time it looks at the caller's key, too: one that
// was revoked or has expired meanwhile reads nothing any more.
func (ad *administration) poll(c *call, who authn.Principal, after int64, limit int, wait time.Duration) (auditPage, error) {
	ctx := c.request.Context()
	ended := time.NewTimer(wait)
	defer ended.Stop()
	for isLast := false; ; {
		page, more, err := ad.auditPageOf(ctx, who, after, limit)
		if err == nil {
			_, err = ad.identify(c)
		}
		if err != nil || isLast || more || len(page.Lines) > 0 {
			return page, err
		}
		after = page.Next
		select {
		case <-time.After(pollInterval):
		case <-ended.C:
			isLast = true
		case <-ad.ending:
			return page, nil
		case <-ctx.Done():
			return page, nil
		}
	}
}

// auditPageOf reads on until the page is full, the log ends, or maxScan lines have been looked at. more reports whether the log
// goes on.
func (ad *administration) auditPageOf(
	ctx context.Context, who authn.Principal, after int64, limit int,
) (page auditPage, more bool, err error) {
	page = auditPage{Lines: []otp.AuditRecord{}, Next: after}
	concern := concern{who: who, store: ad.store}
	step := limit
	if who.Prefix != "" {
		step = maxPage
	}
	for scanned := 0; scanned < maxScan; scanned += step {
		lines, err := ad.store.AuditAfter(ctx, page.Next, step)
		if err != nil {
			return auditPage{}, false, err
		}
		for _, line := range lines {
			isMine, err := concern.has(ctx, line)
			if err != nil {
				return auditPage{}, false, err
			}
			page.Next = line.ID
			if !isMine {
				continue
			}
			if page.Lines = append(page.Lines, line); len(page.Lines) == limit {
				return page, true, nil
			}
		}
		if len(lines) < step {
			return page, false, nil
		}
	}
	return page, true, nil
}

// concern selects the lines of the audit log that concern an administrator. One of all accounts is concerned by all lines.
type concern struct {
	who   authn.Principal
	store AdminStore
	keys  map[string]bool // the names of the keys that the administrator sees; nil until a line needs them
}

// has reports whether the line is about an account of the administrator. A line that has no account, and one about a caller that asked
// for another's account, also concern an administrator of the key that called, or that was created or revoked.
func (c *concern) has(ctx context.Context, line otp.AuditRecord) (bool, error) {
	isAbroad := line.Account == "" || line.Outcome == string(errcodes.ReasonAccountForbidden)
	switch {
	case c.who.Prefix == "" || line.Account != "" && c.who.IncludesAccount(string(line.Account)):
		return true, nil
	case !isAbroad:
		return false, nil
	case c.keys == nil:
		if err := c.readKeys(ctx); err != nil {
			return false, err
		}
	}
	_, target, _ := strings.Cut(line.Action, " ") // app.Core.CreateKey and RevokeKey name the key there
	return c.keys[line.Caller] || c.keys[target], nil
}

func (c *concern) readKeys(ctx context.Context) error {
	keys, err := c.store.ListKeys(ctx)
	if err != nil {
		return err
	}
	c.keys = map[string]bool{}
	for _, key := range keys {
		c.keys[key.PrincipalName()] = administers(c.who.Grant, key)
	}
	return nil
}

// waitIn reads the parameter wait.
func waitIn(query url.Values) (time.Duration, error) {
	if !query.Has("wait") {
		return 0, nil
	}
	wait, err := time.ParseDuration(query.Get("wait"))
	if err != nil || wait < 0 || wait > MaxPoll {
		return 0, &fault{errInvalid, "wait"}
	}
	return wait, nil
}
