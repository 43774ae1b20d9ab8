package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

// ErrKeyNeeded means that a key cannot be removed.
var ErrKeyNeeded = errors.New("the key is needed")

// Vaults is a store as far as it knows what is sealed under a key.
type Vaults interface {
	Lister
	// CountAnswersUnder counts the answers that are kept for repeats, and were sealed or fingerprinted under the key whose
	// marks begin with that text.
	CountAnswersUnder(ctx context.Context, start []byte) (int, error)
}

// RemoveUnused removes a key from the keyring's file if nothing in the store needs it: no record, and no answer that is kept. The
// error wraps ErrKeyNeeded when the key must stay. It waits until no write can still be on its way that was sealed before its
// process has read the file as it is now. What backups need is not known here.
func (r *Keyring) RemoveUnused(ctx context.Context, store Vaults, id KeyID) error {
	info, err := r.fileInfo()
	if err != nil {
		return err
	}
	if err := sleep(ctx, min(settleDelay, settleDelay-time.Since(info.ModTime()))); err != nil {
		return err
	}
	usage, err := Count(ctx, store)
	if err != nil {
		return err
	}
	answers, err := store.CountAnswersUnder(ctx, headerOf(id))
	switch {
	case err != nil:
		return err
	case usage[id] > 0:
		return fmt.Errorf("key %s seals %s: %w; to seal everything under the current key: pimsd seal rotate --no-new-key", id,
			input.Count(usage[id], "record"), ErrKeyNeeded)
	case usage[Unsealed] > 0:
		return fmt.Errorf("%s cannot be read, and may be sealed under key %s: %w; pimsd account list names them: restore a backup, "+
			"or forget them with pimsd account forget", input.Count(usage[Unsealed], "record"), id, ErrKeyNeeded)
	case answers > 0:
		return fmt.Errorf("key %s seals %s kept for repeated calls: %w; each is deleted when idempotency.answer_life is over",
			id, input.Count(answers, "answer"), ErrKeyNeeded)
	}
	return r.Remove(id)
}

func (r *Keyring) fileInfo() (fs.FileInfo, error) {
	if r.path == "" {
		return nil, ErrNoKeyFile
	}
	return os.Stat(r.path)
}
