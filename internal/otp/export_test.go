package otp

// Encode returns the row of a record, for tests that plant one.
func Encode(r Record) (Row, error) { return encode(&r, false) }

// HoldMargin is how long after its deadline a hold is still respected.
const HoldMargin = leaseMargin
