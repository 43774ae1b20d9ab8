package otp

// Need is what an account waits for from its operator.
type Need string

// The needs of accounts.
const (
	NeedEnrollment Need = "enrollment" // it has no device
	NeedUnlock     Need = "unlock"     // its PIN guard forwards no more PINs
	NeedDoubt      Need = "doubt"      // its device is in doubt
	NeedSMS        Need = "sms"        // it has few SMS activations left
)

// AllNeeds lists the needs, in the order in which Status.Needs returns them.
func AllNeeds() []Need { return []Need{NeedEnrollment, NeedUnlock, NeedDoubt, NeedSMS} }

// Needs returns what the account waits for.
func (s Status) Needs() (needs []Need) {
	for _, need := range AllNeeds() {
		if s.has(need) {
			needs = append(needs, need)
		}
	}
	return needs
}

func (s Status) has(need Need) bool {
	switch need {
	case NeedEnrollment:
		return !s.Activated
	case NeedUnlock:
		return s.PINLocked
	case NeedDoubt:
		return s.InDoubt
	case NeedSMS:
		return s.FewLeft
	default:
		return false
	}
}
