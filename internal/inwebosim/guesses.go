package inwebosim

import "errors"

// ErrUnknownAccount says that no account has the login.
var ErrUnknownAccount = errors.New("no account has that login")

// Guesses counts the wrong PINs of an account that has a PIN: those of its activations, and the wrong proofs of its
// devices (section 3, step 2). An account without one has none: there each device counts for itself.
type Guesses struct {
	// InARow counts the wrong ones since the last that was accepted, or since the account was unblocked; Peak is
	// the highest that it ever was. InARow blocks at the knob's WrongLimit.
	InARow uint32 `json:"in_a_row"`
	Peak   uint32 `json:"peak"`
	Wrong  uint32 `json:"wrong"`
}

// AccountState is all that the service knows of an account.
type AccountState struct {
	Login   string  `json:"login"`
	PIN     string  `json:"pin,omitempty"`
	Devices int     `json:"devices"`
	Blocked bool    `json:"blocked"`
	Guesses Guesses `json:"guesses"`
}

// AccountState returns what is known of an account; [ErrUnknownAccount] when there is none of that login.
func (s *Simulator) AccountState(login string) (AccountState, error) {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	acct := s.registry.accounts[login]
	if acct == nil {
		return AccountState{}, ErrUnknownAccount
	}
	acct.mu.Lock()
	defer acct.mu.Unlock()
	return AccountState{
		Login: login, PIN: acct.pin, Devices: acct.devices, Blocked: acct.isBlocked, Guesses: acct.guesses,
	}, nil
}

// UnblockAccount ends the block of an account and forgives the wrong PINs in a row.
func (s *Simulator) UnblockAccount(login string) error {
	s.registry.mu.RLock()
	defer s.registry.mu.RUnlock()
	acct := s.registry.accounts[login]
	if acct == nil {
		return ErrUnknownAccount
	}
	acct.forgive()
	return nil
}

// setPIN returns the account a PIN; an empty one changes nothing.
func (a *account) setPIN(pin string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if pin != "" {
		a.pin = pin
	}
}

// existingPIN is the PIN that an activation must have; empty for any. No account has none.
func (a *account) existingPIN() string {
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pin
}

// guess counts a wrong PIN and returns the err text of the refusal.
func (a *account) guess(k *Knobs) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pin == "" {
		return errAccess
	}
	a.guesses.Wrong++
	a.guesses.InARow++
	a.guesses.Peak = max(a.guesses.Peak, a.guesses.InARow)
	if k.WrongLimit > 0 && int(a.guesses.InARow) >= k.WrongLimit {
		a.isBlocked = true
		return errBlocked
	}
	return errAccess
}

// forgive ends the row of wrong PINs, and a block.
func (a *account) forgive() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.guesses.InARow, a.isBlocked = 0, false
}

func (a *account) blocked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.isBlocked
}
