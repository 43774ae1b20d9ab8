package otp

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// answering is a store that answers its writes and reads with the errors, one after another, and then takes them.
type answering struct {
	Store
	row   Row
	errs  []error
	tries int
}

func (s *answering) next() (err error) {
	s.tries++
	if len(s.errs) > 0 {
		err, s.errs = s.errs[0], s.errs[1:]
	}
	return err
}

func (s *answering) Replace(context.Context, Write) error { return s.next() }

func (s *answering) Fetch(context.Context, Account) (Row, time.Time, error) {
	return s.row, time.Time{}, s.next()
}

// TestWriteVerified: a write is repeated as long as it is not known whether the store has it, three times at most.
func TestWriteVerified(t *testing.T) {
	t.Parallel()
	unknown := errors.New("the connection was lost")
	for name, tc := range map[string]struct {
		errs  []error
		tries int
		want  error
	}{
		"stored":               {errs: nil, tries: 1, want: nil},
		"unknown, then stored": {errs: []error{unknown, unknown}, tries: 3, want: nil},
		"unknown for good":     {errs: []error{unknown, unknown, unknown}, tries: 3, want: ErrStore},
		"not applied":          {errs: []error{ErrNotApplied}, tries: 1, want: ErrStore},
		"broken":               {errs: []error{ErrBroken}, tries: 1, want: ErrStore},
		"unknown, then known":  {errs: []error{unknown, ErrNotApplied}, tries: 2, want: ErrStore},
		"refused":              {errs: []error{unknown, ErrConflict}, tries: 2, want: ErrConflict},
	} {
		store := &answering{errs: tc.errs}
		err := New(store, nil, Limits{StoreTimeout: time.Minute}, nil).writeVerified(t.Context(), CommitLease, Write{Row: Row{Revision: 2}})
		if store.tries != tc.tries || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v after %d tries, want %v after %d", name, err, store.tries, tc.want, tc.tries)
		}
		if tc.want == ErrConflict && errors.Is(err, ErrStore) {
			t.Errorf("%s: a refusal is told as a failure of the store: %v", name, err)
		}
	}
}

// TestLeaseEndOfAnUndecodedRow: the row keeps the end of its lease, unless the lease was corrected, and gets none that it did not have.
func TestLeaseEndOfAnUndecodedRow(t *testing.T) {
	t.Parallel()
	stored, corrected := time.Unix(100, 0), time.Unix(50, 0)
	for name, tc := range map[string]struct {
		stored time.Time
		lease  *Lease
		want   time.Time
	}{
		"neither":        {},
		"a lease alone":  {lease: &Lease{Until: corrected}},
		"an end alone":   {stored: stored, want: stored},
		"both":           {stored: stored, lease: &Lease{Until: corrected}, want: corrected},
		"not leased now": {stored: stored, lease: &Lease{Until: stored}, want: stored},
	} {
		w := overUndecoded(Row{LeasedUntil: tc.stored}, &Record{Revision: 7, Lease: tc.lease})
		if !w.Row.LeasedUntil.Equal(tc.want) || w.Row.Revision != 7 || !w.SameSecrets {
			t.Errorf("%s: %+v, want the end %v", name, w.Row, tc.want)
		}
	}
}

// TestChecksWithoutAStore: a store that cannot be read says nothing about the account.
func TestChecksWithoutAStore(t *testing.T) {
	t.Parallel()
	found := ForeignDevice{
		Serial: "s", Identity: inwebo.Identity{ID: "i"}, Services: []inwebo.Service{{ID: "s"}},
		State: ratchet.State{
			Keys: ratchet.Keys{K0: secret.NewText("0"), K1: secret.NewText("1")}, Secret: secret.NewBytes([]byte("secret")),
		},
	}
	for name, check := range map[string]func(*Service) error{
		"import": func(s *Service) error { return s.CheckImport(t.Context(), Request{Account: "alice"}, found) },
		"enroll": func(s *Service) error {
			_, err := s.CheckEnroll(t.Context(), Request{Account: "alice"}, EnrollRequest{})
			return err
		},
	} {
		store := &answering{errs: []error{errors.New("the disk is gone")}}
		service := New(store, nil, Limits{StoreTimeout: time.Minute, Deadline: time.Minute}, nil)
		if err := check(service); CauseOf(err) != ErrStore {
			t.Errorf("%s: the error is %v, want %v", name, err, ErrStore)
		}
	}
}

// TestCheckEnroll: it says why an enrollment would be refused.
func TestCheckEnroll(t *testing.T) {
	t.Parallel()
	row, err := Encode(Record{Account: "alice", Revision: 1, Serial: "s", Activations: 3})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		refuse   int
		stopping bool
		force    bool
		want     error
	}{
		"none":                {refuse: 4, want: nil},
		"no activation left":  {refuse: 3, want: ErrActivations},
		"forced":              {refuse: 3, force: true, want: nil},
		"a service that ends": {refuse: 4, stopping: true, want: ErrStopping},
	} {
		limits := Limits{StoreTimeout: time.Minute, Deadline: time.Minute, Activations: ActivationLimits{Refuse: tc.refuse}}
		service := New(&answering{row: row}, nil, limits, nil)
		if tc.stopping {
			service.Refuse()
		}
		_, err := service.CheckEnroll(t.Context(), Request{Account: "alice"}, EnrollRequest{Force: tc.force})
		if CauseOf(err) != tc.want || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// updating is a store whose Update answers with the decision and the error.
type updating struct {
	Store
	decision Decision
	err      error
}

func (s updating) Update(context.Context, Account, string, func(Snapshot) Decision) (Decision, error) {
	return s.decision, s.err
}

// committed records the writes that an Observer is told of.
type committed struct {
	unobserved
	what []Commit
}

func (o *committed) Committed(what Commit, _ error) { o.what = append(o.what, what) }

// TestObservedLeases: the observer is told of each try to write a lease, and of stamps that are corrected instead.
func TestObservedLeases(t *testing.T) {
	t.Parallel()
	leased, refused := &leaseOutcome{}, &leaseOutcome{err: ErrQuota}
	for name, tc := range map[string]struct {
		store updating
		want  []Commit
	}{
		"stored":           {updating{decision: Decision{Write: &Write{}, Result: leased}}, []Commit{CommitLease}},
		"on its way":       {updating{decision: Decision{Write: &Write{}, Result: leased, Pending: waiting{}}}, nil},
		"corrected stamps": {updating{decision: Decision{Write: &Write{}, Result: refused}}, []Commit{CommitAdmin}},
		"refused":          {updating{decision: Decision{Result: refused}}, nil},
		"not applied":      {updating{err: ErrNotApplied}, nil},
		"not known":        {updating{err: context.DeadlineExceeded}, []Commit{CommitLease}},
	} {
		observer := &committed{}
		service := New(tc.store, nil, Limits{StoreTimeout: time.Minute}, observer)
		o, err := service.runLease(t.Context(), &leaseRequest{request: Request{Account: "alice"}})
		if !slices.Equal(observer.what, tc.want) || err != tc.store.err || o.pending != tc.store.decision.Pending {
			t.Errorf("%s: the observer is told of %v, want %v (%v)", name, observer.what, tc.want, err)
		}
	}
}

// waiting is a write that does not end.
type waiting struct{}

func (waiting) Wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// TestLeaseThatWasStoredBefore: a request that finds its own lease knows whether the device was in doubt before.
func TestLeaseThatWasStoredBefore(t *testing.T) {
	t.Parallel()
	for _, inDoubt := range []bool{false, true} {
		r := enrolledRecord()
		if inDoubt {
			r = r.withDoubt(epoch, 1)
		}
		row, err := encode(new(heldRecord(t, r, "c", epoch)), false)
		if err != nil {
			t.Fatal(err)
		}
		q := &leaseRequest{conversation: "c", limits: &Limits{Now: time.Now}, clock: &StoreClock{}}
		d := q.decide(Snapshot{Row: row, Now: epoch})
		if o, ok := d.Result.(*leaseOutcome); !ok || d.Write != nil || !o.isLeased() || o.inDoubt != inDoubt {
			t.Errorf("in doubt %v: %+v", inDoubt, d.Result)
		}
	}
}

// TestOTPAnswers: an OTP is made of an answer that is the last one, and has what it takes.
func TestOTPAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer inwebo.OTPFinalize
		issues bool
		err    error
	}{
		"whole":                 {inwebo.OTPFinalize{Defi: "0123"}, true, nil},
		"nothing to make it of": {inwebo.OTPFinalize{}, false, ErrNotUnderstood},
		"second round":          {inwebo.OTPFinalize{WantsSecondRound: true}, false, nil},
		"second round, with it": {inwebo.OTPFinalize{WantsSecondRound: true, Defi: "0123"}, false, nil},
	} {
		c := &conversation{record: enrolledRecord()}
		o := c.ofOTP(tc.answer, c.record.openedBy(secret.NewText("1234")))
		moved, ok := o.change.(*deviceMoved)
		if !ok || moved.issues != tc.issues || o.otp.IsEmpty() == tc.issues || !errors.Is(o.err, tc.err) || o.resync != tc.answer.WantsSecondRound {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// TestRefetchOfASettle: the next try is a new write only if the record was restored or deleted since the last one.
func TestRefetchOfASettle(t *testing.T) {
	t.Parallel()
	for revision, isNew := range map[uint64]bool{4: true, 5: false, 6: false} {
		row, err := Encode(Record{Account: "alice", Revision: revision, Serial: "s"})
		if err != nil {
			t.Fatal(err)
		}
		c := &conversation{id: "c", request: Request{Account: "alice"}, clock: time.Now}
		service := New(&answering{row: row}, nil, Limits{StoreTimeout: time.Minute}, nil)
		p := &settlement{service: service, conversation: c, writeID: c.nextWriteID(), triedRevision: 5}
		before := p.writeID
		p.refetch(time.Now().Add(time.Minute))
		if p.base.Revision != revision || (p.writeID != before) != isNew {
			t.Errorf("at revision %d: the write is %q after %q, over revision %d", revision, p.writeID, before, p.base.Revision)
		}
	}
}

// TestWritesThatNoStoreCanHave: the numbers of a write fit into a database, and its ID is neither empty nor too long.
func TestWritesThatNoStoreCanHave(t *testing.T) {
	t.Parallel()
	const most = math.MaxInt64
	longest := strings.Repeat("i", maxWriteID)
	for name, tc := range map[string]struct {
		id             string
		revision, step uint64
		isGood         bool
	}{
		"the largest":   {longest, most, most, true},
		"no id":         {"", 1, 1, false},
		"a long id":     {longest + "i", 1, 1, false},
		"a revision":    {"i", most + 1, 1, false},
		"a step":        {"i", 1, most + 1, false},
		"the first one": {"i", 1, 0, true},
	} {
		w := Write{ID: tc.id, Row: Row{Account: "alice", Revision: tc.revision}, AuditEntry: AuditEntry{Step: tc.step}}
		if err := w.Check(); (err == nil) != tc.isGood {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (s *answering) Create(context.Context, Write) error { return s.next() }

// TestUpdateInSteps: a write that meets another one is decided again, three times in all, and the error of a read says that nothing is stored.
func TestUpdateInSteps(t *testing.T) {
	t.Parallel()
	unknown := errors.New("the connection was lost")
	for name, tc := range map[string]struct {
		revision uint64
		read     error
		errs     []error
		tries    int
		want     error
		applied  bool
	}{
		"stored":            {revision: 2, tries: 1, applied: true},
		"created":           {revision: 1, tries: 1, applied: true},
		"a conflict":        {revision: 2, errs: []error{ErrConflict, ErrConflict}, tries: 3, applied: true},
		"an account":        {revision: 1, errs: []error{ErrExists}, tries: 2, applied: true},
		"a lasting one":     {revision: 2, errs: []error{ErrConflict, ErrConflict, ErrConflict}, tries: 3, want: ErrConflict, applied: true},
		"not known":         {revision: 2, errs: []error{unknown}, tries: 1, want: unknown, applied: true},
		"not read":          {revision: 2, read: unknown, want: unknown},
		"not read, told so": {revision: 2, read: ErrNotApplied, want: ErrNotApplied},
		"broken":            {revision: 2, read: ErrBroken, want: ErrBroken, applied: true},
	} {
		store := &answering{errs: tc.errs}
		read := func(context.Context) (Snapshot, error) { return Snapshot{}, tc.read }
		_, err := UpdateInSteps(t.Context(), read, store, func(Snapshot) Decision {
			return Decision{Write: &Write{Row: Row{Revision: tc.revision}}}
		})
		if !errors.Is(err, tc.want) || errors.Is(err, ErrNotApplied) == tc.applied || store.tries != tc.tries {
			t.Errorf("%s: %v after %d tries, want %v after %d", name, err, store.tries, tc.want, tc.tries)
		}
	}
}
