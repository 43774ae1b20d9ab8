package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

// callers returns the authenticator: by API key, and by token when issuers are configured.
func (a *App) callers() (authn.Authenticator, error) {
	keys := authn.NewKeys(a.Store, time.Now)
	a.keys = keys
	a.closers.push("last use of keys", func() error {
		a.flushKeys(closeTimeout)
		return nil
	})
	if len(a.config.JWT.Issuers) == 0 {
		return keys, nil
	}
	tokens, err := authn.NewTokens(authn.TokenConfig{
		Issuers: a.config.JWT.Issuers, Leeway: a.config.JWT.Leeway, Now: time.Now,
		Transport: keyTransport(), KeysFetched: newTokenLog(a.logger).KeysFetched,
	})
	if err != nil {
		return nil, issuerFaults(a.config.JWT, err)
	}
	a.tokens = tokens
	a.closers.push("issuers' keys", func() error {
		tokens.Close()
		return nil
	})
	return authn.Either{Keys: keys, Tokens: tokens}, nil
}

// keyFlush is how long the store may lag behind with when keys were last used.
const keyFlush = time.Minute

// followKeys has the store note when keys were last used, from time to time until ctx ends.
func (a *App) followKeys(ctx context.Context) {
	afterEach(ctx, keyFlush, func(context.Context) { a.flushKeys(storeTimeout) })
}

// flushKeys logs when the store does not take it, and returns no error: no call depends on it.
func (a *App) flushKeys(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := a.keys.Flush(ctx); err != nil {
		a.logger.Warn("the store does not note when keys were last used", zap.Error(err))
	}
}

// checkIssuers returns what is wrong with the issuers of tokens, as faults of the configuration.
func checkIssuers(c config.JWT) error {
	if err := authn.CheckIssuers(c.Issuers); err != nil {
		return issuerFaults(c, err)
	}
	return nil
}

// issuerFaults adds, to what is wrong with the issuers, the place in their file.
func issuerFaults(c config.JWT, err error) error {
	found, ok := errors.AsType[authn.IssuerFaults](err)
	if !ok {
		return fmt.Errorf("jwt.issuers_file: %w", err)
	}
	var faults config.Faults
	for _, fault := range found {
		faults = append(faults, config.Fault{Setting: c.Issuers[fault.Index].Origin, Problem: fault.Problem})
	}
	return faults
}
