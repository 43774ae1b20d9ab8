package app

import (
	"context"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
)

// OpenStore opens the configured store alone, which must exist.
func OpenStore(ctx context.Context, c *config.Config) (Store, error) { return openStore(ctx, c, false) }

// NewInwebo makes the client that the configuration describes. It does not connect.
func NewInwebo(c config.Inwebo) (*inwebo.Client, error) { return newInwebo(c, nil, nil) }
