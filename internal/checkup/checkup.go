// Package checkup checks what a service with a configuration would need: its store, its sealing keys, the clock, its certificates, and
// the inWebo host. Each finding is one line, with what to do when it is not good.
//
// It must never change anything: it makes no store, touches no account, and asks nothing of inWebo that could count. No finding has a
// secret in it.
package checkup

import (
	"context"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

// Outcome is how good a finding is.
type Outcome string

// The outcomes. Only Failed keeps a service from doing its work.
const (
	OK      Outcome = "ok"
	Note    Outcome = "note"    // good enough, and worth knowing
	Failed  Outcome = "failed"  // Advice says what to do
	Skipped Outcome = "skipped" // could not be looked at, since something before it failed
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
		if f.Outcome == Failed {
			return false
		}
	}
	return true
}

func ok(what, detail string) Finding            { return Finding{What: what, Outcome: OK, Detail: detail} }
func note(what, detail, advice string) Finding  { return Finding{what, Note, detail, advice} }
func fails(what, detail, advice string) Finding { return Finding{what, Failed, detail, advice} }
func skipped(what, because string) Finding {
	return Finding{What: what, Outcome: Skipped, Detail: because}
}

// storeTimeout bounds everything together that is asked of the store.
const storeTimeout = 15 * time.Second

// Run looks at everything, in the order in which a service needs it. When nothing failed, a service with the configuration starts.
func Run(ctx context.Context, c *config.Config) []Finding {
	kept, storeClock := checkStore(ctx, c)
	certificates := checkCertificates(c, time.Now())
	asked, inweboClock := checkInwebo(ctx, c)
	certificates = append(certificates, checkIssuers(ctx, c)...)
	found := slices.Concat(kept, checkSecretFiles(c), []Finding{checkClock(storeClock, inweboClock)},
		certificates, checkPlainHTTP(c), checkMaintenance(c), asked)
	return append(checkPreconditions(ctx, c, found), found...)
}

// checkPreconditions looks at what else the service needs to start. It returns no second failure of what has failed already.
func checkPreconditions(ctx context.Context, c *config.Config, found []Finding) (findings []Finding) {
	for _, p := range app.Preconditions() {
		is := func(f Finding) bool { return f.What == p.What && f.Outcome == Failed }
		if slices.ContainsFunc(found, is) {
			continue
		}
		if err := p.Check(ctx, c); err != nil {
			findings = append(findings, fails(p.What, err.Error(), "The service would not start."))
		}
	}
	if len(findings) == 0 && Passed(found) {
		return []Finding{ok(theStart, "everything that the service needs to start is there")}
	}
	return findings
}

const theStart = "start"
