package app

import (
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
)

// NewInwebo makes the client that the configuration describes. It does not connect.
func NewInwebo(c config.Inwebo) (*inwebo.Client, error) { return newInwebo(c, nil, nil) }
