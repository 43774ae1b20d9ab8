package replicatest_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/testkit"
)

const (
	clients = 3
	calls   = 12 // of each client
)

var rightPIN, wrongPIN = secret.NewText("1234"), secret.NewText("4321")

// number tells histories apart.
var number atomic.Int64

// history is what clients do to one account, and what they are told.
type history struct {
	*site
	account otp.Account
	code    secret.Text // for SMS activations
	key     secret.Text // an API key
	keyID   string
	began   time.Time

	device string // its id at inWebo, which enrollments keep

	mu   sync.Mutex
	done []porcupine.Operation
	// isOutdated means that a device was imported with keys from before an enrollment, so that inWebo refuses right PINs.
	isOutdated bool
}

// newHistory makes an account that has imported its device, and a key.
func newHistory(s *site) *history {
	n := number.Add(1)
	h := &history{site: s, account: otp.Account(fmt.Sprintf("account-%d", n)), code: secret.NewText(fmt.Sprintf("%08d", n)), began: time.Now()}
	login := fmt.Sprintf("login-%d", n)
	must(s.t, s.inwebo.AddAccount(inwebosim.Account{Login: login, Codes: []inwebosim.Code{{Value: h.code.Reveal()}}}))
	h.device = fmt.Sprintf("%016x", n)
	file := inwebosim.Device{
		ID: h.device, Serial: fmt.Sprintf("test/_/%032x", n), Login: login, PIN: rightPIN.Reveal(),
		Secret: fmt.Sprintf("%032x", 7*n), K0: fmt.Sprintf("%032x", 3*n), K1: fmt.Sprintf("%032x", 5*n),
		Services: s.inwebo.ServiceIDs(), Tsync: 1_700_000_000,
	}
	must(s.t, s.inwebo.PlantDevice(file))
	scopes, err := authn.ParseScopes(nil)
	must(s.t, err)
	key, text, err := authn.NewKey(authn.Grant{Backend: true, Scopes: scopes}, time.Now(), time.Time{})
	must(s.t, err)
	h.key, h.keyID = text, key.ID
	h.insist(func(r replica) error { return r.store.AddKey(s.t.Context(), key) })
	h.insist(func(r replica) error { return r.service.Import(s.t.Context(), h.ask(), testkit.ForeignDevice(file)) })
	return h
}

// insist does what must be done before the history begins.
func (h *history) insist(do func(replica) error) {
	h.t.Helper()
	var err error
	for range 10 {
		if err = do(h.replicas[0]); err == nil || otp.CauseOf(err) == otp.ErrAlreadyEnrolled {
			return
		}
	}
	h.t.Error(err)
}

func (h *history) ask() otp.Request { return otp.Request{Account: h.account, Caller: "test"} }

// run lets all clients make their calls.
func (h *history) run() {
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for range calls {
				h.call(client, draw(), h.replicas[rand.N(len(h.replicas))])
			}
		})
	}
	all.Wait()
}

// The verbs that are called, each as often as it is listed, and those of every third call.
var (
	often = []verb{issue, issue, issue, issue, issue, issue, status, status, status, unlock, unlock, authenticate, authenticate}
	rare  = []verb{
		doubt, disable, enable, enable, forget, forgetDisabled, importDevice, importDevice, enroll, enroll, countActivations, clearQuota,
		hasPIN, reread, revoke, status, status,
	}
)

// draw draws a call.
func draw() input {
	verbs := often
	if rand.N(3) == 0 {
		verbs = rare
	}
	in := input{verb: verbs[rand.N(len(verbs))]}
	if in.verb == issue {
		in.wrongPIN, in.recalls = rand.N(3) == 0, rand.N(2) == 0
		in.key, in.body = max(0, rand.N(2*keys+1)-keys), rand.N(5)/4
		if in.wrongPIN {
			in.body += 2 // the PIN is a part of what is asked
		}
	}
	return in
}

// call makes a call and records it.
func (h *history) call(client int, in input, r replica) {
	called := time.Since(h.began)
	out := h.make(in, r)
	op := porcupine.Operation{ClientId: client, Input: in, Call: int64(called), Output: out, Return: int64(time.Since(h.began))}
	if isOpen(in.verb, out.cause) {
		op.Return = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, op)
	if in.verb == enroll && (out.cause == nil || isOpen(enroll, out.cause)) {
		op.Input = input{verb: enrolled}
		h.done = append(h.done, op)
	}
}

func (h *history) make(in input, r replica) (out output) {
	ctx, ask := h.t.Context(), h.ask()
	var err error
	switch in.verb {
	case issue:
		return h.issue(ctx, in, r)
	case status:
		out.seen, err = look(ctx, r, h.account)
	case unlock:
		must(h.t, h.inwebo.Unblock(h.device)) // by an operator who is sure of the PIN
		err = r.service.Unlock(ctx, ask)
	case doubt:
		err = r.service.Doubt(ctx, ask)
	case disable:
		err = r.service.Disable(ctx, ask)
	case enable:
		err = r.service.Enable(ctx, ask)
	case forget:
		err = r.service.Forget(ctx, ask)
	case forgetDisabled:
		err = r.service.ForgetDisabled(ctx, ask)
	case importDevice:
		err = h.importDevice(ctx, r)
	case enroll:
		_, err = r.service.Enroll(ctx, ask, otp.EnrollRequest{SMSCode: h.code, PIN: rightPIN, PINAnyway: true})
	case countActivations:
		err = r.service.CountActivations(ctx, ask, 1)
	case clearQuota:
		err = r.service.ClearQuota(ctx, ask)
	case hasPIN:
		_, err = r.service.HasPIN(ctx, ask, h.code)
	case reread:
		_, err = r.service.Reread(ctx, ask)
	case authenticate:
		_, err = r.keys.Authenticate(ctx, h.key)
	case revoke:
		err = r.store.RevokeKey(ctx, h.keyID, time.Now())
	default:
		panic("no client calls " + in.verb)
	}
	out.cause = causeOf(err)
	return out
}

// causeOf returns the cause that the model knows of an error.
func causeOf(err error) error {
	switch {
	case err == nil:
		return nil
	case authn.ReasonOf(err) != "":
		return authn.ErrUnauthenticated
	default:
		return cmp.Or(otp.CauseOf(err), otp.ErrStore)
	}
}

// issue asks for an OTP.
func (h *history) issue(ctx context.Context, in input, r replica) (out output) {
	ask, pin := h.ask(), rightPIN
	if in.wrongPIN {
		pin = wrongPIN
	}
	if in.key > 0 {
		key := sha256.Sum256(fmt.Append(nil, h.account, in.key))
		ask.Idempotency = &otp.IdempotentCall{Key: hex.EncodeToString(key[:]), Body: body(fmt.Sprint(in.body)), Answer: answerOf}
	}
	issued, err := h.issueAs(ctx, in, r, ask, pin)
	out.cause, out.text = causeOf(err), string(answerOf(issued.OTP, err).Reveal())
	if !issued.StoredResponse.IsEmpty() {
		out.text, out.replay = string(issued.StoredResponse.Reveal()), true
	}
	return out
}

// answerOf is what a caller is told, for a repeat of the call.
func answerOf(given secret.Text, err error) secret.Bytes {
	return secret.NewBytes(fmt.Append(nil, given.Reveal(), causeOf(err)))
}

// body is what a call asks.
type body string

// Fingerprint is as otp.Fingerprinted says.
func (b body) Fingerprint() []byte { return []byte(b) }

// Has is as otp.Fingerprinted says.
func (b body) Has(fingerprint []byte) (bool, error) { return bytes.Equal(fingerprint, []byte(b)), nil }

// importDevice imports the device as another client has it, with the keys that inWebo knows.
func (h *history) importDevice(ctx context.Context, r replica) error {
	before, err := h.inwebo.DeviceState(h.device)
	must(h.t, err)
	imported := r.service.Import(ctx, h.ask(), testkit.ForeignDevice(before.Device))
	after, err := h.inwebo.DeviceState(h.device)
	must(h.t, err)
	if causeOf(imported) == nil || isOpen(importDevice, causeOf(imported)) {
		h.mu.Lock()
		defer h.mu.Unlock()
		isCurrent := before.Activated && before.K0 == after.K0 && before.K1 == after.K1
		h.isOutdated = h.isOutdated || !isCurrent
	}
	return imported
}

func look(ctx context.Context, r replica, account otp.Account) (seen, error) {
	st, err := r.service.Status(ctx, account)
	return seen{
		device: st.Activated, disabled: st.Disabled, inDoubt: st.InDoubt, wrong: st.WrongPINs, step: int(st.Step), activations: st.Activations,
	}, err
}

// count adds the calls that succeeded to those of other histories.
func (h *history) count() {
	for _, op := range h.done {
		if op.Output.(output).cause == nil {
			h.successes[op.Input.(input).verb]++
		}
	}
}

// operations returns the calls for the check. An unlock is told which PINs were under way at the same time.
func (h *history) operations() []porcupine.Operation {
	all := slices.Clone(h.done)
	for i, op := range all {
		in := op.Input.(input)
		in.mayKeep = in.verb == unlock && slices.ContainsFunc(all, func(other porcupine.Operation) bool {
			return other.Input.(input).verb == issue && other.Call < op.Return && op.Call < other.Return
		})
		in.outdated = in.recalls && slices.ContainsFunc(all, func(other porcupine.Operation) bool {
			return other.Input.(input).verb == revoke && other.Output.(output).cause == nil && other.Return < op.Call
		})
		all[i].Input = in
	}
	return all
}

// String lists the calls by the time of their answers.
func (h *history) String() string {
	var text strings.Builder
	all := slices.SortedFunc(slices.Values(h.operations()), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, op := range all {
		fmt.Fprintf(&text, "%d [%v, %v] %+v: %+v\n", op.ClientId, time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
	}
	return text.String()
}

// issueAs asks for an OTP as an operator, or as a caller that is known from before. A caller is authenticated before it is known, and after
// the keys have changed.
func (h *history) issueAs(ctx context.Context, in input, r replica, ask otp.Request, pin secret.Text) (otp.Issued, error) {
	if !in.recalls {
		return r.service.IssueOTP(ctx, ask, pin)
	}
	for range 10 {
		if _, version, ok := r.keys.Recall(h.key); ok {
			ask.KeysVersion = otp.KeysVersion(version)
			if issued, err := r.service.IssueOTP(ctx, ask, pin); !errors.Is(err, otp.ErrKeysChanged) {
				return issued, err
			}
		}
		if _, err := r.keys.Authenticate(ctx, h.key); err != nil {
			return otp.Issued{}, err
		}
	}
	return otp.Issued{}, otp.ErrStore // of which inWebo hears nothing, either
}
