package otp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/secret"
)

// Store keeps one Row for each account, and the audit log. It is lock and journal at once: no code keeps a transaction
// or a connection while a conversation with inWebo goes on.
//
// Every verb is durable when it returns nil: it survives a crash of the process and a loss of power. An Update may return earlier: see
// Decision. The verbs that
// write are safe to repeat: the same Write twice is the same as once, and returns nil both times. So a caller that
// does not know whether a Write took effect repeats it and learns. The results of a Write are of three kinds:
//   - nil, ErrConflict, ErrExists, ErrDeviceTaken and ErrHistoryChanged are conclusive: they say whether the Write is stored, by this try
//     or an earlier one.
//   - ErrNotApplied and ErrBroken say that this try stored nothing, and never will. An earlier try may have stored the Write.
//   - Any other error leaves open whether the Write is stored, or will be.
//
// In addition to the record a store keeps, for a while, answers that a caller may ask for again (docs/contract.md §5).
type Store interface {
	// Fetch returns the account's row and the store's time, the only clock that records are compared with.
	// ErrNotFound (with the store's time, and a row with the store's epoch alone) means that the account has no row.
	Fetch(ctx context.Context, account Account) (Row, time.Time, error)

	// Create stores the first row of an account, revision 1, together with the write's audit entry.
	// ErrExists means that the account has one already, ErrDeviceTaken that another account has the claimed device,
	// ErrHistoryChanged that w.History is outdated; nothing was stored then.
	Create(ctx context.Context, w Write) error

	// Replace stores w.Row over the row of revision w.Row.Revision−1, together with the write's audit entry.
	// ErrConflict means that the account's row has another revision, or another body than w.Over, or is not there; ErrDeviceTaken
	// that another account has the claimed device, ErrHistoryChanged that w.History is outdated. Nothing was stored then.
	// A repeat of a write that the row had once, and has lost since because it was restored or deleted, is refused like any
	// write that does not fit: it needs an ID of its own.
	// An answer to keep is stored with it, unless there is one under its key already; but one that is an OTP takes the
	// place of one that is none, as long as that was not spent.
	Replace(ctx context.Context, w Write) error

	// Update reads the account's row, and what is stored of the call that had the key (none has the empty key), in one consistent
	// snapshot, calls decide with it, and stores the Write of the Decision as Create or Replace do. No other write of the row comes
	// between the snapshot and the Write: where a store cannot prevent one, it calls decide again with a newer snapshot, and
	// returns ErrConflict or ErrExists in the end. A Decision without a Write stores nothing.
	//
	// decide runs in a goroutine of the store, while other calls wait. It must be a pure function: it may run more than once, and
	// after the caller of Update has left. Its panic is an error of this call alone.
	//
	// Update returns the newest Decision. The errors are those of Create and Replace; ErrNotApplied is also that of a snapshot that
	// could not be read.
	Update(ctx context.Context, account Account, key string, decide func(Snapshot) Decision) (Decision, error)

	// BySerial returns the rows of all accounts that have or had the device with that serial, without their Secrets. A write that
	// changes an account's claim from one serial to another keeps the row that it replaces, without its Secrets: BySerial returns
	// the last such row of each account and serial, too, with Former set.
	BySerial(ctx context.Context, serial string) ([]Row, error)

	// List returns rows in the order of their accounts' bytes, those after the given account, at most limit. The empty account
	// is before all others. Of a row that cannot be read whole it returns what can be read, with an empty Body.
	List(ctx context.Context, after Account, limit int) ([]Row, error)

	// AppendAudit appends entries to the audit log without a record, in their order; their time is the store's. AppendAudit is
	// the only writing verb that is not safe to repeat.
	AppendAudit(ctx context.Context, entries []AuditEntry) error

	// DiscardResponse deletes the response and the fingerprint under the key, and keeps the key, so that it cannot be used again. It may be
	// repeated, and does nothing for a key that is not stored.
	DiscardResponse(ctx context.Context, account Account, key string) error
}

// What a store says; see Store for what follows from it.
var (
	ErrNotFound = errors.New("the account has no record")
	ErrExists   = errors.New("the account has a record already")
	ErrConflict = errors.New("the record was changed by another writer")
	// ErrDeviceTaken means that the device that the Write claims is the active device of another account. Nothing was stored.
	ErrDeviceTaken = newCause(errcodes.ReasonDeviceTaken, "the device belongs to another account")
	// ErrHistoryChanged means that what other accounts have counted of the claimed device is not what the Write was decided on. Nothing
	// was stored: read the History again.
	ErrHistoryChanged = errors.New("the history of the device was changed by another writer")
	// ErrNoStore means that there is no store where one must be, and ErrOldSchema that an older pimsd has made it: the service makes and
	// migrates stores.
	ErrNoStore   = errors.New("there is no store")
	ErrOldSchema = errors.New("an older schema")
	// ErrNotApplied means that the store failed, nothing of the write was stored, and nothing of it ever will be unless it
	// is repeated: no room, no connection, a statement that was rolled back.
	ErrNotApplied = errors.New("the store failed and stored nothing")
	// ErrSealed means that the record is sealed under a key that is not at hand; the error around it names the key's id.
	ErrSealed = newCause(errcodes.ReasonSealingKeyMissing, "the sealing key of the record is missing")
	// ErrBroken means that the store cannot promise durability any more. Until it is opened again it takes no write, except that it
	// may still try to store what settles a conversation.
	ErrBroken = errors.New("the store is broken and takes no more writes")
)

// Row is an account's record as a store keeps it. Store and domain share no other knowledge: a store reads nothing in
// Body or Secrets.
type Row struct {
	Account  Account
	Revision uint64 // 1 for the first; each Replace adds one
	// InDoubt and LeasedUntil repeat two facts of the Body, which may be damaged.
	InDoubt     bool
	LeasedUntil time.Time    // when the lease of an enrolled device ends, or the zero time; microseconds count
	Body        []byte       // CBOR, without secrets; JSON if an earlier version of pimsd wrote it
	Secrets     secret.Bytes // keys and device secret; a sealing store encrypts it. May be empty.
	// Unopened reports that Secrets is still sealed, as it is stored. A sealing store returns such a row together with the
	// error that says why it does not open the secrets, and stores it as it is.
	Unopened bool

	// UnreadAnswers is the number of kept finalize answers in the Secrets that could not be read, for counting.
	UnreadAnswers int
	// Claim is the device that the account has or had. Create and Replace ignore it: Write.Claim changes it.
	Claim    Claim
	Disabled bool // an operator has disabled the account; not in the Body, which may be damaged. Write.Disabled changes it.
	// Former reports whether the row is that of a device which the account had before another one. Only BySerial returns it.
	Former bool

	// Epoch is the doubt epoch of the row's device; 0 means that the row has none. StoreEpoch is that of the store. Fetch, List and
	// the Snapshot of Update have both. Create and Replace ignore both: Write.Epoch changes the first.
	Epoch      uint64
	StoreEpoch Epoch
}

// Epoch is the doubt epoch of a store. It is raised when what the store has may be older than what inWebo knows: the store
// was restored, or another server was promoted in its place. A device of an earlier epoch is in doubt. The epochs begin at 1.
type Epoch struct {
	Number uint64
	Since  time.Time // when it was raised; the zero time in the first epoch
	Cause  string    // why it was raised; empty in the first epoch, and in a Row
}

// Claim names an account's device. The zero Claim is that of an account that has never had one.
type Claim struct {
	Serial string // at most 256 characters
	// Active reports whether the account has the device now, or an enrollment of it under way. No two accounts have an
	// active claim of the same serial.
	Active bool
}

// History is what a store has of the device with a serial: the rows that BySerial returned.
type History struct {
	Serial string
	Rows   []Row
}

// Holds reports whether rows, which BySerial returns now, are those of the history as far as other accounts than that one have them.
func (h History) Holds(rows []Row, account Account) bool {
	ofOthers := func(rows []Row) []Row {
		return slices.DeleteFunc(slices.Clone(rows), func(row Row) bool { return row.Account == account })
	}
	return slices.EqualFunc(ofOthers(h.Rows), ofOthers(rows), func(a, b Row) bool {
		return a.Account == b.Account && a.Former == b.Former && a.Revision == b.Revision && a.Claim == b.Claim && bytes.Equal(a.Body, b.Body)
	})
}

// Write is what becomes durable together.
type Write struct {
	// ID is unique to this write and at most 64 characters; a repeat carries the same.
	ID  string
	Row Row
	// SameSecrets means that a Replace leaves Secrets and UnreadAnswers as they are stored; the Row has no Secrets then.
	SameSecrets bool
	// Over, when it is not nil, is the Body of the row that a Replace replaces. The revision alone does not identify a row that
	// may have been restored and changed again.
	Over []byte
	// Claim, when it is not nil, replaces the account's claim of a device. Most writes leave it as it is.
	Claim *Claim
	// History, when it is not nil, is what the Write was decided on, in addition to the row: it is stored only if that still holds of the
	// other accounts. No write that claims the device comes between the comparison and the Write.
	History *History
	// Epoch, when it is not nil, replaces Row.Epoch. Most writes leave it as it is, and a Create without it is of the first.
	Epoch    *uint64
	Disabled *bool // when it is not nil, replaces Row.Disabled; a Create without it enables the account
	// AuditEntry is stored with the write. The domain sets all of its fields.
	AuditEntry AuditEntry
	// Response is stored for a repeat of the call; nil for most writes. A Create has one where the row was deleted meanwhile.
	Response *KeyedResponse
}

// maxWriteID is the longest ID of a Write.
const maxWriteID = 64

// Check refuses a write that a store cannot have.
func (w *Write) Check() error {
	if w.ID == "" || len(w.ID) > maxWriteID {
		return fmt.Errorf("the id of a write must be 1 to %d characters, not %d", maxWriteID, len(w.ID))
	}
	if w.Row.Revision > math.MaxInt64 || w.AuditEntry.Step > math.MaxInt64 {
		return errors.New("a revision and a ratchet step must be less than 2⁶³")
	}
	_, err := ParseStoredAccount(string(w.Row.Account))
	return err
}

// KeyedResponse is a response together with the key of its call.
type KeyedResponse struct {
	Key   string // names the call within its account; 64 lower-hex digits
	IsOTP bool   // the answer is an OTP
	StoredResponse
}

// StoredResponse is the response that a store has for a repeat of a call.
type StoredResponse struct {
	At          time.Time    // by the store's clock, microseconds
	Fingerprint []byte       // of what was asked; empty when the key is spent
	Answer      secret.Bytes // a sealing store encrypts it; empty when the key is spent
}

// AuditEntry is one entry of the audit log. No field of it can contain a secret.
type AuditEntry struct {
	At          time.Time `json:"at"` // by the store's clock, microseconds
	Account     Account   `json:"account"`
	Caller      string    `json:"caller"`                // who asked: the name of a principal, or of a command
	Transaction string    `json:"transaction,omitempty"` // the request's UUID; empty for commands
	Action      string    `json:"action"`                // what was asked: "otp", "enroll", …
	Stage       Stage     `json:"stage"`
	Outcome     string    `json:"outcome,omitempty"` // a word of the domain; empty for an attempt
	Step        uint64    `json:"step"`              // the ratchet step that the record has with this write
}

// Stage distinguishes the entry of an attempt, which is durable before inWebo gets a proof, from that of its outcome.
type Stage string

// The stages of a conversation.
const (
	StageAttempt Stage = "attempt"
	StageOutcome Stage = "outcome"
)

// AuditRecord is an entry as it is read from the audit log.
type AuditRecord struct {
	ID int64 `json:"id"` // grows with the log
	AuditEntry
	// Damage says why the line cannot be read; the other fields have what can be. Empty for a line that is whole.
	Damage string `json:"damage,omitempty"`
}
