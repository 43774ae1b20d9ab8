package inwebosim

import (
	"sync"
	"time"
)

// password is one issued OTP.
type password struct {
	text     string
	device   *device
	issued   time.Time
	step     uint32
	verified bool
	next     *password // an older one with the same text
}

// issuedOTPs remembers the passwords of the last OTPLife, of all devices. Its lock is taken after a device's.
type issuedOTPs struct {
	mu     sync.Mutex
	byText map[string]*password
	queue  []*password // oldest first
}

func newIssuedOTPs() *issuedOTPs { return &issuedOTPs{byText: map[string]*password{}} }

func (l *issuedOTPs) issue(p *password, life time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune(p.issued, life)
	p.next = l.byText[p.text]
	l.byText[p.text] = p
	l.queue = append(l.queue, p)
}

// spend finds a password that is alive, unspent and of a device that wanted takes, and spends it.
func (l *issuedOTPs) spend(token string, now time.Time, life time.Duration, wanted func(*device) bool) *password {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune(now, life)
	for p := l.byText[unpadded(token)]; p != nil; p = p.next {
		if !p.verified && wanted(p.device) {
			p.verified = true
			return p
		}
	}
	return nil
}

// of lists the living passwords of a device, oldest first.
func (l *issuedOTPs) of(d *device, now time.Time, life time.Duration) []IssuedOTP {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune(now, life)
	list := []IssuedOTP{}
	for _, p := range l.queue {
		if p.device == d {
			list = append(list, IssuedOTP{OTP: p.text, Issued: p.issued, Step: p.step, Verified: p.verified})
		}
	}
	return list
}

// prune forgets what has expired; l.mu is held.
func (l *issuedOTPs) prune(now time.Time, life time.Duration) {
	expired := 0
	for expired < len(l.queue) && now.Sub(l.queue[expired].issued) > life {
		l.drop(l.queue[expired])
		l.queue[expired] = nil
		expired++
	}
	l.queue = l.queue[expired:]
}

// drop takes a password out of the chain of its text; it is the oldest there.
func (l *issuedOTPs) drop(p *password) {
	first := l.byText[p.text]
	if first == p {
		delete(l.byText, p.text)
		return
	}
	for ; first != nil; first = first.next {
		if first.next == p {
			first.next = nil
			return
		}
	}
}
