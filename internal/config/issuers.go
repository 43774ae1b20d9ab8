package config

import "time"

// JWT says whose tokens are taken.
type JWT struct {
	IssuersFile string        // empty: nobody's
	Issuers     []Issuer      // what that file says
	Leeway      time.Duration // by which an issuer's clock may be off
}

// Issuer is one entry of the issuers' file as it was written. Whether it makes sense is for whoever uses it to say.
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

func (c *Config) jwtSettings() []setting {
	return []setting{
		{
			key: issuersKey, unit: "file", value: path(&c.JWT.IssuersFile),
			what:   "the issuers whose tokens (JWT) authenticate a caller, in the form that `docs/configuration.md` describes",
			effect: "Empty: no token is taken, API keys alone are. It is read at the start.",
		},
		{
			key: "jwt.leeway", unit: "duration", preset: "1m", value: duration(&c.JWT.Leeway, 0, 5*time.Minute),
			what:   "how far the clock of an issuer may be off",
			effect: "Longer: a token is taken for so much longer after it has expired.",
		},
	}
}

const issuersKey = "jwt.issuers_file"
