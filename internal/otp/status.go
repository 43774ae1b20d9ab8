package otp

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Status is what is known of an account without asking inWebo, for operators and callers.
type Status struct {
	Account     Account         `json:"account"`
	Known       bool            `json:"-"` // something is stored of the account
	State       State           `json:"state"`
	Disabled    bool            `json:"disabled"` // its calls are refused until it is enabled
	Activated   bool            `json:"isDeviceActivated"`
	InDoubt     bool            `json:"inDoubt"`
	DoubtSince  time.Time       `json:"doubtSince,omitzero"`
	Blocking    Blocking        `json:"isAccountBlocked"`
	Service     string          `json:"service,omitempty"`  // that OTPs are for; empty when several leave it open
	Services    []string        `json:"services,omitempty"` // names, or ids of those without
	DeviceID    string          `json:"-"`                  // inWebo's, to tell devices apart; empty when there is none
	DeviceName  string          `json:"deviceName,omitempty"`
	EnrolledAt  time.Time       `json:"enrolledAt,omitzero"`
	LastOTPAt   time.Time       `json:"lastOTPAt,omitzero"`
	OTPsLeft    *int            `json:"otpsLeft,omitempty"` // within the quota; nil when it is off
	WrongPINs   int             `json:"wrongPINs"`
	PINLocked   bool            `json:"pinLocked"`
	Activations int             `json:"smsActivations"`
	FewLeft     bool            `json:"fewSmsActivationsLeft"`
	Step        uint64          `json:"step"`
	Enrollment  EnrollmentPhase `json:"enrollment,omitempty"` // of one that is not through
	// FutureStamps reports that the record has stamps ahead of the store's clock, which the next call corrects.
	FutureStamps bool `json:"futureStamps,omitempty"`
	// UnreadAnswers are answers of inWebo that are kept because they could not be read.
	UnreadAnswers int `json:"unreadAnswers"`
}

// State is whether an account can be asked for an OTP.
type State string

// The states of an account.
const (
	StateNotEnrolled State = "not enrolled"
	StateIdle        State = "idle"
	StateLeased      State = "held" // leased: a call for it is under way
	// StateUnreadable is that of an account whose record cannot be decoded. It comes with an error.
	StateUnreadable State = "unreadable"
)

// Status returns what is stored of the account. An account without a record has one all the same: not enrolled. With ErrDamaged it
// returns what is known of an account whose record cannot be decoded.
func (s *Service) Status(ctx context.Context, account Account) (Status, error) {
	status, _, err := s.Inspect(ctx, account)
	return status, err
}

// Inspect is Status, and returns the whole record for people to read. Marshaled as JSON, it has no secrets.
func (s *Service) Inspect(ctx context.Context, account Account) (Status, Record, error) {
	c := &conversation{request: Request{Account: account}, tolerance: keepsSecrets, clock: s.limits.Now}
	row, err := s.fetchRow(ctx, c)
	record, err := c.tolerance.decode(Snapshot{Row: row, Fault: err}, &s.limits)
	switch {
	case errors.Is(err, ErrDamaged):
		return row.unreadable(c.now()), Record{}, wrapCause(ErrStore, err)
	case err != nil:
		return Status{}, Record{}, wrapCause(ErrStore, err)
	}
	return statusOf(record, c.now(), s.limits), record, nil
}

// StatusOf is Status for a row whose secrets may still be sealed. With any error it returns what is known of the account all the same.
func (s *Service) StatusOf(row Row, now time.Time) (Status, error) {
	r, err := decodeBody(row)
	if err != nil {
		return row.unreadable(now), err
	}
	st := statusOf(r, now, s.limits)
	st.UnreadAnswers = row.UnreadAnswers
	return st, nil
}

// unreadable returns what is known of an account whose row cannot be decoded.
func (row Row) unreadable(now time.Time) Status {
	return Status{
		Account: row.Account, Known: true, State: StateUnreadable, Disabled: row.Disabled, InDoubt: row.isInDoubt(now), Blocking: BlockingUnknown,
	}
}

// isInDoubt is Record.InDoubt for a row whose body cannot be decoded.
func (row Row) isInDoubt(now time.Time) bool {
	ofEarlierEpoch := row.Epoch > 0 && row.Epoch < row.StoreEpoch.Number
	leased := Record{Lease: &Lease{Until: row.LeasedUntil}}
	return row.InDoubt || ofEarlierEpoch || !row.LeasedUntil.IsZero() && !leased.LeasedAt(now)
}

// HasFutureStamps reports whether the record of a row, whose secrets may still be sealed, has stamps ahead of now, the time of
// the store. A clock that was wrong for a while leaves them behind, and the next call corrects them.
func HasFutureStamps(row Row, now time.Time) (bool, error) {
	r, err := decodeBody(row)
	if err != nil {
		return false, err
	}
	_, wasAhead := r.corrected(now)
	return wasAhead, nil
}

func statusOf(r Record, now time.Time, limits Limits) Status {
	r, wasAhead := r.corrected(now)
	st := Status{
		Account: r.Account, Known: r.Revision > 0, State: StateNotEnrolled, Disabled: r.Disabled, InDoubt: r.InDoubt(now), Blocking: r.Blocking,
		WrongPINs: r.Guard.Wrong, PINLocked: r.Guard.isLocked(limits.Guard),
		Activations: r.Activations, FewLeft: limits.Activations.check(r.Activations).FewLeft, Step: r.Step,
		FutureStamps:  wasAhead,
		UnreadAnswers: len(r.Unread) + r.sealedUnread,
	}
	if st.Blocking == "" {
		st.Blocking = BlockingUnknown
	}
	if limits.OTPsPerDay > 0 {
		left := r.Quota.Left(now, limits.OTPsPerDay)
		st.OTPsLeft = &left
	}
	switch {
	case r.Doubt != nil: // that of an earlier epoch, too: decodeBody has added it
		st.DoubtSince = r.Doubt.Since
	case st.InDoubt: // without a Doubt, it is a lease that ran out before its conversation settled
		st.DoubtSince = r.Lease.Until
	}
	if r.Enrollment != nil {
		st.Enrollment = r.Enrollment.Phase
	}
	if r.Device != nil {
		st.State, st.EnrolledAt, st.LastOTPAt = StateIdle, r.Device.EnrolledAt, r.Device.LastOTPAt
		st.Activated, st.DeviceID, st.DeviceName = true, r.Device.Identity.ID, r.Device.Name
		used, _ := limits.service(r.Device)
		for _, service := range r.Device.Services {
			name := cmp.Or(service.Name, service.ID)
			st.Services = append(st.Services, name)
			if service.ID == used {
				st.Service = name
			}
		}
	}
	if r.LeasedAt(now) {
		st.State = StateLeased
	}
	return st
}

// Need is what the operator must do for an account.
type Need string

// The needs of accounts.
const (
	NeedEnrollment Need = "enrollment" // it has no device
	NeedUnlock     Need = "unlock"     // its PIN guard forwards no more PINs
	NeedDoubt      Need = "doubt"      // its device is in doubt
	NeedSMS        Need = "sms"        // it has few SMS activations left
	// NeedRepair is that of an account whose record cannot be read. Package api lists it; Status.Needs never returns it.
	NeedRepair Need = "repair"
)

// AllNeeds lists the needs that a Status can have, in the order in which Status.Needs returns them.
func AllNeeds() []Need { return []Need{NeedEnrollment, NeedUnlock, NeedDoubt, NeedSMS} }

// Needs returns what the operator must do for the account.
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
