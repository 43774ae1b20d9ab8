package config

import (
	"time"

	"github.com/pimsd/pimsd/internal/authn"
)

// JWT says whose tokens are taken.
type JWT struct {
	IssuersFile string         // empty: no token is accepted
	Issuers     []authn.Issuer // as that file says, not checked
	Leeway      time.Duration  `setting:"none"` // by which an issuer's clock may be off
}

const issuersKey = "jwt.issuers_file"
