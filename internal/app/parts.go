package app

import (
	"context"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// OpenStore opens the configured store alone, which must exist.
func OpenStore(ctx context.Context, c *config.Config) (Store, error) { return openStore(ctx, c, false) }

// OpenRing gives the sealing keys that the configuration names, which must exist. The store is asked for nothing that
// the keys are in by themselves; it may be nil when the configuration names them.
func OpenRing(ctx context.Context, c *config.Config, store Store) (*seal.Ring, error) {
	return openRing(ctx, c, store, false)
}

// NewInwebo makes the client that the configuration describes. It does not connect.
func NewInwebo(c config.Inwebo) (*inwebo.Client, error) { return newInwebo(c, nil) }
