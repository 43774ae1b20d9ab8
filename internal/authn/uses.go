package authn

import (
	"context"
	"maps"
	"sync"
	"time"
)

// uses are the moments at which keys were last used, as far as the store does not have them yet. Writing each of them would
// cost every call a commit.
type uses struct {
	mu   sync.Mutex
	last map[string]time.Time // by the key's id
}

// record notes a use. The last one counts, although its moment may be earlier: the clock may have been set back.
func (u *uses) record(id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[string]time.Time{}
	}
	u.last[id] = at
}

// withdraw takes a use back that is noted for a time after the key was revoked: the key was recalled then, and was refused.
func (u *uses) withdraw(id string, revoked time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last[id].After(revoked) {
		delete(u.last, id)
	}
}

// restore notes uses again that the store did not take. Those since then count more.
func (u *uses) restore(taken map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.Copy(taken, u.last)
	u.last = taken
}

// drain returns what was noted since the last time.
func (u *uses) drain() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.last
	u.last = nil
	return taken
}

// Flush has the store note when keys were last used, in one write for all that were used since it was last done. What
// the store does not take is for the next time.
func (k *Keys) Flush(ctx context.Context) error {
	taken := k.uses.drain()
	if len(taken) == 0 {
		return nil
	}
	err := k.store.KeysUsed(ctx, maps.Clone(taken))
	if err != nil {
		k.uses.restore(taken)
	}
	return err
}
