package authn

import "sync"

// maxAccepted bounds how many keys are known to have been accepted: 1 MiB or so of memory.
const maxAccepted = 4096

// accepted are keys that were accepted, as they were read then. It is safe for concurrent use.
type accepted struct {
	mu   sync.Mutex
	keys map[string]acceptedKey // by the id
}

type acceptedKey struct {
	key     Key
	version Version
}

// add notes a key. When there are too many, all others are forgotten: they will be looked up again.
func (a *accepted) add(key Key, version Version) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.keys[key.ID]
	if a.keys == nil || !known && len(a.keys) >= maxAccepted {
		a.keys = map[string]acceptedKey{}
	}
	a.keys[key.ID] = acceptedKey{key, version}
}

func (a *accepted) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.keys, id)
}

func (a *accepted) find(id string) (Key, Version, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.keys[id]
	return found.key, found.version, ok
}
