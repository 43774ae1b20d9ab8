package otp

import (
	"time"

	"github.com/pimsd/pimsd/internal/admission"
)

// Observer hears what operators watch. Its methods are called on the path of an OTP and must not block.
type Observer interface {
	// Committed hears of every try to write a record.
	Committed(what Commit, err error)
	// Window hears how long an answer of inWebo that moved the ratchet was not yet durable.
	Window(answerToCommit time.Duration)
	// Panicked hears of a panic in a task that goes on all the same. err and stack carry no secret.
	Panicked(task string, err error, stack []byte)
	// Retrying hears of a conversation that goes on trying to settle (+1), and of its end (−1).
	Retrying(change int)
	// Circuit is called when the circuit opens, half-opens or closes.
	Circuit(state admission.State)
}

// Commit says what a write to the store is for.
type Commit string

// What writes are for.
const (
	CommitHold   Commit = "hold"
	CommitSettle Commit = "settle"
	CommitAmend  Commit = "amend" // what an administrator changes
)

type unobserved struct{}

func (unobserved) Committed(Commit, error)        {}
func (unobserved) Window(time.Duration)           {}
func (unobserved) Retrying(int)                   {}
func (unobserved) Panicked(string, error, []byte) {}
func (unobserved) Circuit(admission.State)        {}
