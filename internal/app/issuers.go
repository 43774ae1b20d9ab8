package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/authn"
)

// keyStepTimeout bounds each step of fetching an issuer's keys: connecting, TLS, the head of the answer.
const keyStepTimeout = 3 * time.Second

// keyTransport fetches issuers' keys, rarely.
func keyTransport() *http.Transport {
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: keyStepTimeout}).DialContext, TLSHandshakeTimeout: keyStepTimeout,
		ResponseHeaderTimeout: keyStepTimeout, MaxResponseHeaderBytes: maxHeaderBytes, DisableKeepAlives: true,
	}
}

// warmTokens fetches the issuers' keys before the first caller waits for them. The service starts also when it fails.
func (a *App) warmTokens(ctx context.Context) {
	if a.tokens == nil {
		return
	}
	if err := a.tokens.Warm(ctx); err != nil {
		a.logger.Warn("keys of issuers are out of reach: their tokens are answered with 503 until they can be fetched", zap.Error(err))
	}
}

// tokenLog logs what fetches of keys brought, once for each issuer as long as that stays the same: unknown callers may cause
// fetches.
type tokenLog struct {
	logger *zap.Logger
	mu     sync.Mutex
	last   map[string]string // what was logged last, by the issuer's name
}

func newTokenLog(logger *zap.Logger) *tokenLog {
	return &tokenLog{logger: logger, last: map[string]string{}}
}

// KeysFetched warns of a fetch that failed, and of signing keys that are left out.
func (l *tokenLog) KeysFetched(issuer string, keys authn.FetchedKeys, err error) {
	leftOut := describeLeftOut(keys.LeftOut)
	if !l.isNews(issuer, fmt.Sprint(keys.Usable, leftOut, err)) {
		return
	}
	if err != nil {
		l.logger.Warn("the keys of an issuer cannot be fetched", zap.String("issuer", issuer), zap.Error(err))
		return
	}
	l.logger.Info("fetched the keys of an issuer", zap.String("issuer", issuer), zap.Int("keys", keys.Usable))
	if leftOut != "" {
		l.logger.Warn("signing keys of an issuer are left out: tokens that are signed with them are refused",
			zap.String("issuer", issuer), zap.String("keys", leftOut))
	}
}

func (l *tokenLog) isNews(issuer, what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.last[issuer] != what
	l.last[issuer] = what
	return news
}

// maxLeftOut is how many keys are named that are left out.
const maxLeftOut = 8

// describeLeftOut names the keys, with the reason of each.
func describeLeftOut(keys []authn.LeftOutKey) string {
	var texts []string
	for i, key := range keys {
		if i == maxLeftOut {
			texts = append(texts, fmt.Sprintf("and %d more", len(keys)-i))
			break
		}
		texts = append(texts, key.String())
	}
	return strings.Join(texts, "; ")
}
