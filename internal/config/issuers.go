package config

import "time"

// JWT says whose tokens are taken.
type JWT struct {
	IssuersFile string        // empty: no token is accepted
	Issuers     []Issuer      // what that file says
	Leeway      time.Duration `setting:"none"` // by which an issuer's clock may be off
}

// Issuer is one entry of the issuers' file as it was written. The package that uses it validates it.
type Issuer struct {
	Name          string
	URL           string
	JWKSURL       string
	Audiences     []string
	Algorithms    []string
	Type          string
	AccountClaim  string
	AccountPrefix string
	Scopes        []string

	Origin string // where it stands: "issuers.yaml:3"
}

const issuersKey = "jwt.issuers_file"
