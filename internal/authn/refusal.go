package authn

import "errors"

// Reason says in a word why a caller was refused. It is for the operators' log: the answer never carries it. No word
// changes its meaning.
type Reason string

// The reasons. Those from ReasonKeysOutOfReach on are not about the credential itself.
const (
	ReasonMissing        Reason = "missing"         // there is no Authorization header
	ReasonMalformed      Reason = "malformed"       // it is no credential that pimsd knows the form of
	ReasonUnknown        Reason = "unknown"         // no API key has the id
	ReasonWrongSecret    Reason = "wrong_secret"    // an API key has the id, and another secret
	ReasonRevoked        Reason = "revoked"         //
	ReasonExpired        Reason = "expired"         //
	ReasonNotYetValid    Reason = "not_yet_valid"   // nbf or iat is in the future
	ReasonNoExpiry       Reason = "no_expiry"       // the token has no exp
	ReasonWrongIssuer    Reason = "wrong_issuer"    // the token's iss is none that is configured
	ReasonWrongAudience  Reason = "wrong_audience"  //
	ReasonWrongType      Reason = "wrong_type"      // the token's typ
	ReasonWrongAlgorithm Reason = "wrong_algorithm" //
	ReasonWrongSubject   Reason = "wrong_subject"   // the token names no account
	ReasonNoKeyID        Reason = "no_kid"          // and its issuer has several keys
	ReasonUnknownKeyID   Reason = "unknown_kid"     //
	ReasonBadSignature   Reason = "bad_signature"   //

	ReasonKeysOutOfReach Reason = "keys_out_of_reach" // the token cannot be judged
	ReasonNotEntitled    Reason = "not_entitled"      // to the account that the request names
	ReasonScope          Reason = "scope"             // the caller lacks that of the call
)

// Refusal is ErrUnauthenticated with its reason. Its text is for the log, and has nothing secret of the credential.
type Refusal struct {
	Reason Reason
	text   string
}

func refuse(reason Reason, text string) *Refusal { return &Refusal{reason, text} }

// Error says what is wrong with the credential.
func (r *Refusal) Error() string { return ErrUnauthenticated.Error() + ": " + r.text }

// Unwrap returns ErrUnauthenticated, which is all that a caller may learn.
func (r *Refusal) Unwrap() error { return ErrUnauthenticated }

// ReasonOf returns the reason of an error of this package; it is empty for others.
func ReasonOf(err error) Reason {
	refusal, ok := errors.AsType[*Refusal](err)
	switch {
	case ok:
		return refusal.Reason
	case errors.Is(err, ErrKeysUnavailable):
		return ReasonKeysOutOfReach
	case errors.Is(err, ErrAccountForbidden):
		return ReasonNotEntitled
	default:
		return ""
	}
}
