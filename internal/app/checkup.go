package app

import (
	"context"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/config"
)

// Outcome is how good a finding is.
type Outcome string

// The outcomes. Only OutcomeFailed keeps a service from doing its work.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeNote    Outcome = "note"    // good enough, and worth knowing
	OutcomeFailed  Outcome = "failed"  // Advice says what to do
	OutcomeSkipped Outcome = "skipped" // could not be looked at, since something before it failed
)

// Finding is what was found of one thing.
type Finding struct {
	What    string  `json:"what"`
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail"`           // a phrase
	Advice  string  `json:"advice,omitempty"` // sentences
}

// Passed reports whether nothing failed.
func Passed(findings []Finding) bool {
	for _, f := range findings {
		if f.Outcome == OutcomeFailed {
			return false
		}
	}
	return true
}

func passes(what, detail string) Finding {
	return Finding{What: what, Outcome: OutcomeOK, Detail: detail}
}

func note(what, detail, advice string) Finding {
	return Finding{what, OutcomeNote, detail, advice}
}

func fails(what, detail, advice string) Finding {
	return Finding{what, OutcomeFailed, detail, advice}
}

func skipped(what, because string) Finding {
	return Finding{What: what, Outcome: OutcomeSkipped, Detail: because}
}

// inspectTimeout bounds everything together that is asked of the store.
const inspectTimeout = 15 * time.Second

// Inspect checks what a service with the configuration would need: its store, its sealing keys, the clock, its certificates, and the
// inWebo host, in the order in which a service needs them. When nothing failed, a service with the configuration starts.
//
// It changes nothing: it makes no store, touches no account, and asks nothing of inWebo that could count. No finding has a secret in it.
func Inspect(ctx context.Context, c *config.Config) []Finding {
	kept, storeClock := inspectStore(ctx, c)
	certificates := inspectCertificates(c, time.Now())
	asked, inweboClock := inspectInwebo(ctx, c)
	certificates = append(certificates, inspectIssuers(ctx, c)...)
	found := slices.Concat(kept, inspectSecretFiles(c), []Finding{inspectClocks(storeClock, inweboClock)},
		certificates, inspectPlainHTTP(c), inspectMaintenance(c), asked)
	return append(inspectPreconditions(ctx, c, found), found...)
}

// inspectPreconditions looks at what else the service needs to start. It returns no second failure of what has failed already.
func inspectPreconditions(ctx context.Context, c *config.Config, found []Finding) (findings []Finding) {
	for _, p := range preconditions() {
		is := func(f Finding) bool { return f.What == p.What && f.Outcome == OutcomeFailed }
		if slices.ContainsFunc(found, is) {
			continue
		}
		if err := p.Check(ctx, c); err != nil {
			findings = append(findings, fails(p.What, err.Error(), "The service would not start."))
		}
	}
	if len(findings) == 0 && Passed(found) {
		return []Finding{passes(theStart, "everything that the service needs to start is there")}
	}
	return findings
}

const theStart = "start"
