package otp

import (
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// Record is everything that is kept of one account. It names the conversation that may use the device now (Lease), what the device
// is (Device), whether what is stored may lag behind inWebo (Doubt), and what the account has left to spend. Some names in the stored form
// are older than the fields, such as hold, repeat, guesses and units: stored records have them.
type Record struct {
	Account  Account `json:"-"`
	Revision uint64  `json:"-"`

	// Serial is drawn once and outlives every device of the account, since each new one costs one of the devices that
	// inWebo allows it.
	Serial ratchet.Serial `json:"serial"`
	// Tenure numbers the accounts that have had the device with that serial, one after another: the record with the highest has what
	// was last counted of it (history.go). 0 means that it is not known.
	Tenure uint64 `json:"tenure,omitempty"`
	// Device makes the OTPs; nil when the account has none.
	Device *Device `json:"device,omitempty"`
	// Enrollment is a device on its way, and never used for an OTP; nil when there is none.
	Enrollment *Enrollment `json:"enrolment,omitempty"`

	// Lease names the conversation that is using the device; nil when the device is idle.
	Lease *Lease `json:"hold,omitempty"`
	// Overtaken are conversations whose lease ran out before they settled, the latest last. One of them may still have an
	// answer of inWebo. A conversation that is neither here nor in Lease never leased this record: see applyOutcome.
	Overtaken []Overtaken `json:"overtaken,omitempty"`
	// Doubt means that what is stored may lag behind inWebo; nil when it does not.
	Doubt *Doubt `json:"doubt,omitempty"`

	// Step counts the answers that moved the ratchet of the device. It never goes back, not even with a new device.
	Step uint64 `json:"step"`
	// MovedBy is the revision of the lease whose conversation made the last Step. An outcome whose own lease has a lower revision is
	// superseded: at inWebo, too, an accepted proof of a later lease comes after that of an earlier one, because its challenge has
	// replaced the earlier challenge.
	MovedBy uint64 `json:"movedBy"`

	// epoch is the doubt epoch that the record belongs to once it is stored, and storedEpoch that of its row.
	epoch, storedEpoch uint64

	// inherited is the history of the device that the record is about to get; nil for a record that is stored.
	inherited *History

	// sealed are the secrets as they are stored, of a record whose secrets were not opened: its devices have no keys. The record
	// keeps them as they are, for as long as it has the device.
	sealed secret.Bytes
	// sealedUnread is the number of unread answers in sealed.
	sealedUnread int
	// legacy reports that the stored record has the form of an earlier version.
	legacy bool
	// damaged reports that the stored record cannot be decoded, and that this is what is known of it.
	damaged bool
	// undecoded is the row of a damaged record that a write leaves as it is stored, except for Disabled; nil for any other record.
	undecoded *Row

	// Unread are answers of inWebo that could not be read, the oldest first. They are sealed like keys.
	Unread []UnreadAnswer `json:"-"`

	// Disabled reports that an operator has the account's calls refused until it is enabled again. The device stays. It is stored as
	// Row.Disabled, and not in the body.
	Disabled bool `json:"disabled,omitempty" cbor:"-"`

	Guard Guard `json:"guard,omitzero"`
	Quota Quota `json:"quota,omitzero"`

	// Blocking is what inWebo last let see, for display only.
	Blocking Blocking `json:"blocking,omitempty"`
	// Activations counts the SMS activations that inWebo may have counted: an account locks after about twenty.
	Activations int `json:"activations,omitempty"`
}

// Device is one that inWebo knows, with the state that must never be lost.
type Device struct {
	// Origin is the conversation that enrolled or imported the device. It tells two devices of an account apart that
	// have the same serial.
	Origin     string           `json:"origin,omitempty"`
	Identity   inwebo.Identity  `json:"identity"`
	Services   []inwebo.Service `json:"services,omitempty"`
	Offline    inwebo.Offline   `json:"offline,omitzero"`
	State      ratchet.State    `json:"-"`
	Fallback   *Fallback        `json:"-"`              // nil, unless a kept answer was read again and no proof has decided since
	Name       string           `json:"name,omitempty"` // in the user's list of devices, as far as it is known here
	EnrolledAt time.Time        `json:"enrolledAt,omitzero"`
	// Unconfirmed means that inWebo may not have taken the last step of the enrollment, and that its caller was told so. The
	// first accepted proof confirms the device.
	Unconfirmed bool      `json:"unconfirmed,omitempty"`
	LastOTPAt   time.Time `json:"lastOTPAt,omitzero"` // zero before the first
}

// Enrollment is how far an activation has come.
type Enrollment struct {
	Phase     EnrollmentPhase `json:"phase"`
	Device    Device          `json:"device"`              // what is known of it so far
	Challenge string          `json:"challenge,omitempty"` // of the activate finalize, for the ms finalize
}

// EnrollmentPhase is a durable point of an enrollment.
type EnrollmentPhase string

// The phases, in their order. A complete enrollment has no phase: it has become the Device.
const (
	PhaseEnrolling EnrollmentPhase = "enrolling" // the serial is stored; the activate finalize may have been sent
	PhaseActivated EnrollmentPhase = "activated" // inWebo knows the device; the ms finalize may have been sent
)

// Lease lets one conversation use the device.
type Lease struct {
	Conversation string    `json:"conversation"`
	Revision     uint64    `json:"revision"` // of the record that first carried this lease: later leases have higher ones
	Since        time.Time `json:"since"`
	// Until is when the lease is over: the conversation's deadline and a margin after Since.
	Until time.Time `json:"until"`
	// IdempotencyKey is the key of the call, if the caller may repeat it.
	IdempotencyKey string `json:"repeat,omitempty"`
}

// Overtaken is a conversation whose lease ran out, with the revision of that lease.
type Overtaken struct {
	Conversation string `json:"conversation"`
	Revision     uint64 `json:"revision"`
}

// Doubt is left behind by a conversation whose answer may have moved the ratchet, and was lost.
type Doubt struct {
	Since time.Time `json:"since"`
	// By is the revision of that conversation's lease. A proof that inWebo accepts under this lease or a later one ends the doubt.
	By uint64 `json:"by"`
}

// Blocking is whether inWebo has blocked the account, as its last answer let see.
type Blocking string

// What is known of an account's blocking.
const (
	BlockingUnknown Blocking = "Unknown"
	NotBlocked      Blocking = "NotBlocked"
	PINBlocked      Blocking = "PinBlocked"
)

// claim is the account's claim of its device in the store.
func (r *Record) claim() Claim {
	return Claim{Serial: string(r.Serial), Active: r.Device != nil || r.Enrollment != nil}
}

// LeasedAt reports whether a conversation has a lease of the device that is not over. One that would last longer than any lease can was
// taken while the store's clock was wrong, and is over: see MaxLease.
func (r *Record) LeasedAt(now time.Time) bool {
	return r.Lease != nil && now.Before(r.Lease.Until) && r.Lease.Until.Sub(now) <= MaxLease
}

// isFirst reports whether r, about to be written, is the first record of its account: so far, nothing is stored of it.
func (r *Record) isFirst() bool { return r.Revision == 1 }

// isLeasedBy reports whether the lease is that of the conversation.
func (r *Record) isLeasedBy(conversation string) bool {
	return r.Lease != nil && r.Lease.Conversation == conversation
}

// InDoubt reports whether what is stored of the device may lag behind inWebo: an answer was lost, or the process that leased
// it ended. There is no doubt where there is no device.
func (r *Record) InDoubt(now time.Time) bool {
	return r.Device != nil && (r.Doubt != nil || r.Lease != nil && !r.LeasedAt(now))
}

// maxOvertaken bounds the overtaken conversations that a record remembers. One that is forgotten settles like one of
// a record that was restored.
const maxOvertaken = 8

// leaseOf returns the revision of the lease that the conversation has or had. known is false when this record never saw
// that lease; the revision is 0 then.
func (r *Record) leaseOf(conversation string) (revision uint64, known bool) {
	if r.isLeasedBy(conversation) {
		return r.Lease.Revision, true
	}
	for _, past := range r.Overtaken {
		if past.Conversation == conversation {
			return past.Revision, true
		}
	}
	return 0, false
}

// withoutLease returns r without the conversation's lease, and without the memory of it.
func (r Record) withoutLease(conversation string) Record {
	if r.isLeasedBy(conversation) {
		r.Lease = nil
	}
	r.Overtaken = slices.DeleteFunc(slices.Clone(r.Overtaken), func(past Overtaken) bool { return past.Conversation == conversation })
	return r
}

// withLeaseOvertaken returns r without a lease. The conversation of the lease is remembered, because it may still settle an answer.
func (r Record) withLeaseOvertaken() Record {
	if r.Lease == nil {
		return r
	}
	overtaken := append(slices.Clone(r.Overtaken), Overtaken{r.Lease.Conversation, r.Lease.Revision})
	r.Overtaken = overtaken[max(0, len(overtaken)-maxOvertaken):]
	r.Lease = nil
	return r
}

// isBlank reports whether the account has no row, or one that was made by a call that knows nothing of a device. A device that was
// forgotten leaves its serial and its steps.
func (r *Record) isBlank() bool {
	knowsDevice := r.Device != nil || r.Enrollment != nil || r.Serial != "" || r.Step != 0 || r.damaged
	return r.Revision == 0 || !knowsDevice && r.Lease == nil
}

// recreated returns the record of an account whose record was deleted during a conversation: r is the record as the conversation wrote
// it, and blank is what is stored now. Other conversations are forgotten. A lease that is over is dropped. A doubt is older than the
// conversation's lease, so its By becomes 0: a proof of any lease ends it.
func (r Record) recreated(blank Record, now time.Time) Record {
	r.Revision, r.MovedBy, r.Overtaken = blank.Revision, 0, nil
	if blank.Revision != 0 {
		r.Disabled = blank.Disabled
	}
	r.Activations += blank.Activations
	if r.Doubt != nil {
		r.Doubt = &Doubt{Since: r.Doubt.Since}
	}
	if !r.LeasedAt(now) {
		r.Lease = nil
		return r
	}
	lease := *r.Lease
	lease.Revision = 1
	r.Lease = &lease
	return r
}

// withDoubt returns r with a doubt that the lease of that revision has caused, in addition to any other that there is. A record without a
// device stays as it is.
func (r Record) withDoubt(now time.Time, leaseRevision uint64) Record {
	switch {
	case r.Device == nil:
	case r.Doubt == nil:
		r.Doubt = &Doubt{Since: now, By: leaseRevision}
	default:
		r.Doubt = &Doubt{Since: r.Doubt.Since, By: max(r.Doubt.By, leaseRevision)}
	}
	return r
}

// inEpochOf returns r, which was read from the row, in the doubt epoch of its store. A device of an earlier epoch is in doubt:
// the doubt ends like every other, with a proof that inWebo accepts.
func (r Record) inEpochOf(row Row) Record {
	r.epoch, r.storedEpoch = row.StoreEpoch.Number, row.Epoch
	if row.Epoch < row.StoreEpoch.Number {
		r = r.withDoubt(row.StoreEpoch.Since, r.Revision+1) // that of the next write: only a lease from now on can end the doubt
	}
	return r
}

// ownEpoch returns the epoch that is stored with the record.
func (r *Record) ownEpoch() uint64 {
	if r.Device == nil {
		return 0
	}
	return r.epoch
}

// setStored makes r as it is read again after it was stored.
func (r *Record) setStored() { r.storedEpoch, r.inherited = r.ownEpoch(), nil }
