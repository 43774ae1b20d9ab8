// Package inwebo is a client of the inWebo mAccess web service: one method for each exchange, typed replies, and errors that distinguish
// "never sent", "no answer" and "refused" (docs/protocol.md §§1, 3, 6, 7).
//
// It has no state: it keeps no device, decides nothing, and repeats nothing. It must never put a URL, a parameter or an answer into an
// error text, because they carry secrets.
package inwebo

import (
	"context"
	"strconv"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// Exchange names a request and its answer; it is what measurements are labelled with.
type Exchange string

// The exchanges of the protocol.
const (
	ExchangeActivateSetup    Exchange = "activate_setup"
	ExchangeActivateFinalize Exchange = "activate_finalize"
	ExchangeMSFinalize       Exchange = "ms_finalize"
	ExchangeOTPSetup         Exchange = "otp_setup"
	ExchangeOTPFinalize      Exchange = "otp_finalize"
)

// Identity is how a device introduces itself in every request.
type Identity struct {
	ID       string `json:"id"`       // given by inWebo; empty before the activation
	LastSync string `json:"lastsync"` // the last Tsync; "0" at first
}

// Unactivated is the identity of a device that inWebo does not know yet.
func Unactivated() Identity { return Identity{LastSync: "0"} }

// ActivateSetup opens an activation with the SMS code (docs/protocol.md §3, step 1).
func (c *Client) ActivateSetup(ctx context.Context, code secret.Text) (ActivateSetup, error) {
	query := c.query("ActionSetup", "activate", Unactivated())
	query.Set("code", code.Reveal())
	return exchange(ctx, c, ExchangeActivateSetup, query, readActivateSetup)
}

// Activation is what the activate finalize sends.
type Activation struct {
	Code     secret.Text
	Serial   ratchet.Serial
	Kma, PIN string // each encrypted under Kiw, 256 hex digits
	Proofs   ratchet.Proofs
}

// ActivateFinalize closes an activation (docs/protocol.md §3, step 2).
func (c *Client) ActivateFinalize(ctx context.Context, a Activation) (ActivateFinalize, error) {
	query := c.query("ActionFinalize", "activate", Unactivated())
	c.addFinalize(query)
	query.Set("code", a.Code.Reveal())
	query.Set("serial", string(a.Serial))
	query.Set("Kma", a.Kma)
	query.Set("pin", a.PIN)
	query.Set("name", c.config.DeviceName)
	addProofs(query, a.Proofs)
	return exchange(ctx, c, ExchangeActivateFinalize, query, readActivateFinalize)
}

// ServiceSecret is the device secret for one service, encrypted under that service's ms_key.
type ServiceSecret struct{ ID, Value string }

// modeMS is the one mode whose requests carry no version (docs/protocol.md §1).
const modeMS = "ms"

// MSFinalize sends inWebo the device secret for each service (docs/protocol.md §3, step 3).
func (c *Client) MSFinalize(ctx context.Context, who Identity, secrets []ServiceSecret, proofs ratchet.Proofs) (Finalized, error) {
	query := c.query("ActionFinalize", modeMS, who)
	query.Set("ms_n", strconv.Itoa(len(secrets)))
	for i, s := range secrets {
		query.Set("ms_id"+strconv.Itoa(i), s.ID)
		query.Set("ms_val"+strconv.Itoa(i), s.Value)
	}
	addProofs(query, proofs)
	return exchange(ctx, c, ExchangeMSFinalize, query, readFinalized)
}

// OTPSetup asks for the challenge of one OTP for the service sid (docs/protocol.md §6, step 1).
func (c *Client) OTPSetup(ctx context.Context, who Identity, sid string) (Challenge, error) {
	query := c.query("ActionSetup", "otp", who)
	query.Set("sid", sid)
	return exchange(ctx, c, ExchangeOTPSetup, query, readChallenge)
}

// keytypePIN says that the proof was made with a PIN (docs/protocol.md §6, step 2).
const keytypePIN = "0"

// OTPFinalize shows the proofs and gets what the OTP is made of (docs/protocol.md §6, step 2).
func (c *Client) OTPFinalize(ctx context.Context, who Identity, sid string, proofs ratchet.Proofs) (OTPFinalize, error) {
	query := c.query("ActionFinalize", "otp", who)
	c.addFinalize(query)
	query.Set("keytype", keytypePIN)
	query.Set("sid", sid)
	addProofs(query, proofs)
	return exchange(ctx, c, ExchangeOTPFinalize, query, readOTPFinalize)
}

// addFinalize adds what only the finalize of activate and of otp carry; ack is sent empty, not left out.
func (c *Client) addFinalize(query *query) {
	query.Set("lang", c.config.Language)
	query.Set("ack", "")
}

func addProofs(query *query, p ratchet.Proofs) {
	query.Set("R0", p.R0)
	query.Set("R1", p.R1)
	query.Set("R2", p.R2)
}
