package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
)

// The stages on the way to an answer of inWebo.
const (
	byName       = "inWebo name"
	byConnection = "inWebo connection"
	byTLS        = "inWebo TLS"
	byAnswer     = "inWebo answer"
)

// inspectInwebo sends the host a request that touches no account, and reports each stage of the way to its answer.
func inspectInwebo(ctx context.Context, c *config.Config) ([]Finding, reading) {
	client, err := newInwebo(c.Inwebo, nil, nil)
	if err != nil {
		return []Finding{fails(byAnswer, err.Error(), "Correct the setting.")}, reading{}
	}
	defer client.Close()
	p := client.Probe(ctx)
	return stages(c.Inwebo, p), reading{there: p.Date, here: p.Clock}
}

// stages goes the way as far as the probe came. The stage at which it ended has failed, and those after it are left out.
func stages(c config.Inwebo, p inwebo.Probe) (findings []Finding) {
	target, via := c.URL.Host, ""
	if !c.ProxyURL.IsEmpty() {
		via = "the proxy of inwebo.proxy_url, for " // its address is not shown: it may hold a password
	}
	if len(p.Addresses) > 0 {
		findings = append(findings, passes(byName, via+target+" is "+strings.Join(p.Addresses, ", ")))
	}
	switch {
	case p.Err == nil:
	case p.Peer == "" && len(p.Addresses) == 0 && strings.Contains(p.Err.Error(), "resolved"):
		return append(findings, fails(byName, via+target+": the name could not be resolved",
			"Check inwebo.url and the name servers of this machine."))
	case p.Peer == "":
		return append(findings, fails(byConnection, via+target+": "+p.Err.Error(),
			"Check inwebo.url, the firewall and the proxy; inWebo is reached at its port 443."))
	case p.ByProxy:
		return append(findings, fails(byConnection, via+target+": "+p.Err.Error(),
			"Check inwebo.proxy_url, and what the proxy permits; inWebo is reached at its port 443."))
	}
	if p.Peer != "" {
		findings = append(findings, passes(byConnection, "to "+via+target))
	}
	if p.TLS != nil {
		findings = append(findings, passes(byTLS, describeTLS(p.TLS)))
	} else if p.Err != nil && c.URL.Scheme == "https" {
		return append(findings, fails(byTLS, p.Err.Error(),
			"Check inwebo.url and inwebo.ca_file. A proxy that opens TLS needs its authority in inwebo.ca_file."))
	}
	return append(findings, answered(c, p))
}

// answered is the last stage.
func answered(c config.Inwebo, p inwebo.Probe) Finding {
	switch {
	case p.Err == nil:
		return passes(byAnswer, fmt.Sprintf("the mAccess service, in %v", p.Took.Round(time.Millisecond)))
	case errors.Is(p.Err, inwebo.ErrNotService), errors.Is(p.Err, inwebo.ErrNotUnderstood):
		return fails(byAnswer, p.Err.Error(),
			fmt.Sprintf("Check inwebo.url and inwebo.path (%s): newer versions of the service use /iwcxf/MAC.", c.Path))
	default:
		return fails(byAnswer, p.Err.Error(), "inWebo may be down: try again, and ask its status page.")
	}
}

func describeTLS(state *tls.ConnectionState) string {
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		text += ", certificate good until " + state.PeerCertificates[0].NotAfter.UTC().Format(time.DateTime)
	}
	return text
}
