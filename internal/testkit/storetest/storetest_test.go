package storetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

func inMemory(store otp.Store, memory *storetest.Memory) storetest.Instance {
	instance := storetest.Instance{Store: store, Reader: memory}
	instance.Reopen = func(*testing.T) storetest.Instance { return instance }
	return instance
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Instance {
		memory := storetest.NewMemory()
		return inMemory(memory, memory)
	})
}

func TestBreakingThatDoesNothing(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(storetest.Call) storetest.Fault{
		"without Decide": nil,
		"zero faults":    func(storetest.Call) storetest.Fault { return storetest.Fault{} },
		"applied, without an error": func(storetest.Call) storetest.Fault {
			return storetest.Fault{Applied: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(*testing.T) storetest.Instance {
				memory := storetest.NewMemory()
				return inMemory(&storetest.Breaking{Store: memory, Decide: decide}, memory)
			})
		})
	}
}

func TestBreakingDoesAsItIsTold(t *testing.T) {
	t.Parallel()
	memory := storetest.NewMemory()
	lost := errors.New("the answer was lost")
	var calls []storetest.Call
	var fault storetest.Fault
	store := &storetest.Breaking{Store: memory, Decide: func(c storetest.Call) storetest.Fault {
		calls = append(calls, c)
		return fault
	}}
	write := func(id string, revision uint64) otp.Write {
		return otp.Write{ID: id, Row: otp.Row{Account: "alice", Revision: revision}}
	}
	for i, step := range []struct {
		verb     func(context.Context, otp.Write) error
		write    otp.Write
		fault    storetest.Fault
		want     error
		revision uint64 // beneath, afterwards
	}{
		{store.Create, write("a", 1), storetest.Fault{Err: lost}, lost, 0},
		{store.Create, write("a", 1), storetest.Fault{Err: lost, Applied: true}, lost, 1},
		{store.Create, write("a", 1), storetest.Fault{}, nil, 1},
		{store.Replace, write("b", 2), storetest.Fault{Err: otp.ErrBroken}, otp.ErrBroken, 1},
		{store.Replace, write("b", 2), storetest.Fault{Err: lost, Applied: true}, lost, 2},
		{store.Replace, write("c", 2), storetest.Fault{Err: lost, Applied: true}, otp.ErrConflict, 2},
	} {
		fault = step.fault
		if err := step.verb(t.Context(), step.write); !errors.Is(err, step.want) {
			t.Errorf("step %d: the error is %v, want %v", i, err, step.want)
		}
		if row, _, _ := memory.Fetch(t.Context(), "alice"); row.Revision != step.revision {
			t.Errorf("step %d: the revision beneath is %d, want %d", i, row.Revision, step.revision)
		}
	}
	fault = storetest.Fault{Err: lost}
	if _, _, err := store.Fetch(t.Context(), "alice"); !errors.Is(err, lost) {
		t.Errorf("fetch: the error is %v", err)
	}
	last := calls[len(calls)-1]
	if len(calls) != 7 || last.N != 7 || last.Verb != storetest.Fetch || last.Account != "alice" {
		t.Errorf("the last of %d calls is %+v", len(calls), last)
	}
	verbs := []storetest.Verb{calls[0].Verb, calls[3].Verb}
	if !slices.Equal(verbs, []storetest.Verb{storetest.Create, storetest.Replace}) || calls[3].Write.ID != "b" {
		t.Errorf("the calls were %+v", calls)
	}
}
