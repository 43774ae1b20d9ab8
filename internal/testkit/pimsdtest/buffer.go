package pimsdtest

import (
	"bytes"
	"sync"
)

// Buffer keeps what is written to it. Several goroutines may write and read at a time.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is as io.Writer says.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
