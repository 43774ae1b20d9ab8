package otp

// ActivationLimits are the settings of the count of SMS activations. inWebo locks an account after about twenty, whatever
// became of them (docs/protocol.md §7), and no one has seen that undone.
type ActivationLimits struct {
	Warn   int // from so many on, few are left; 0: never
	Refuse int // when so many were tried, another one must be forced; 0: no limit
}

// Activations is how many SMS activations of an account inWebo may have heard of, and what that means.
type Activations struct {
	Tried     int
	FewLeft   bool // a person should be warned
	Exhausted bool // the next one must be forced
}

func (l ActivationLimits) judge(tried int) Activations {
	return Activations{
		Tried:     tried,
		FewLeft:   l.Warn > 0 && tried >= l.Warn,
		Exhausted: l.Refuse > 0 && tried >= l.Refuse,
	}
}
