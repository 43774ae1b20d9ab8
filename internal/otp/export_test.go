package otp

// Encode gives the row of a record, for tests that plant one.
func Encode(r Record) (Row, error) { return encode(r) }

// Before returns the greatest name before that of the account.
func (a Account) Before() Account { return a.before() }

// HoldMargin is how long after its deadline a hold is still respected.
const HoldMargin = holdMargin
