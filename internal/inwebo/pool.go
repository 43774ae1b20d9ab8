package inwebo

import (
	"slices"
	"sync"
	"time"
)

// idleTimeout is short, because a connection that the server closed meanwhile shows as a lost answer.
const idleTimeout = 5 * time.Second

// maxIdle lets a loaded service keep its connections between a setup and its finalize.
const maxIdle = 256

// pool keeps idle connections to one host. It is safe for concurrent use.
type pool struct {
	mu    sync.Mutex
	idle  []*conn     // the longest idle first
	timer *time.Timer // closes those that have been idle for too long; nil while there are none
}

// get returns the connection that became idle last, and nil when there is none that can be used.
func (p *pool) get() *conn {
	for {
		c := p.pop()
		if c == nil || time.Since(c.since) < idleTimeout && c.isFresh() {
			return c
		}
		_ = c.Close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

// put keeps a connection whose last exchange was read to its end, or closes it when there is no room for it.
func (p *pool) put(c *conn) {
	if !p.keep(c) {
		_ = c.Close()
	}
}

// keep keeps a connection, and reports whether there was room for it.
func (p *pool) keep(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == maxIdle {
		return false
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleTimeout, func() { p.close(idleTimeout) })
	}
	return true
}

// close closes the connections that have been idle for so long; that of TLS may take a moment.
func (p *pool) close(idleFor time.Duration) {
	for _, c := range p.take(idleFor) {
		_ = c.Close()
	}
}

// take returns the connections that have been idle for so long, which are in the pool no more.
func (p *pool) take(idleFor time.Duration) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= idleFor {
		old++
	}
	taken := slices.Clone(p.idle[:old])
	p.idle = slices.Delete(p.idle, 0, old)
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.timer = nil; len(p.idle) > 0 {
		p.timer = time.AfterFunc(idleTimeout-time.Since(p.idle[0].since), func() { p.close(idleTimeout) })
	}
	return taken
}
