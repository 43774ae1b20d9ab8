package devicefile

import (
	"errors"
	"fmt"
	"slices"
)

// Bounds of one reading.
const (
	maxSteps = 1 << 16 // opcodes, and so values
	maxStack = 1 << 13 // values that wait on the stack; Python sends a thousand members of a container at a time
	maxMarks = 1 << 6
	maxDepth = 32 // containers within containers
)

// Why a pickle is not read. The errors that wrap them say where, and quote nothing of the file.
var (
	// ErrMalformed says that it is no pickle of the known protocols, or a broken one.
	ErrMalformed = errors.New("this is no pickle, or a broken one")
	// ErrTooLarge means that the file exceeds a bound of the reader.
	ErrTooLarge = errors.New("the pickle is larger or deeper than a device's")
	// ErrCalls says that reading it would mean to call something.
	ErrCalls = errors.New("the pickle would run code, which is never done")
)

// value is what a pickle has: nil, a bool, an int64, a float64, a string, pyBytes, a class, or one of *list, *dict and *object.
// Values may contain each other, and themselves: code that walks them must bound the walk.
type value any

// pyBytes are Python's bytes.
type pyBytes string

// class is the name of a class. Nothing more is known of it.
type class struct{ module, name string }

// list is a list or a tuple.
type list struct {
	items []value
	depth int
	tuple bool
}

// dict is a dict in the order of its making.
type dict struct {
	entries []entry
	depth   int
}

type entry struct{ key, value value }

// get returns the value of a text. The last one counts, as in Python.
func (d *dict) get(key string) (value, bool) {
	for _, e := range slices.Backward(d.entries) {
		if e.key == value(key) {
			return e.value, true
		}
	}
	return nil, false
}

// object is an instance: a class, and the fields that were set on it.
type object struct {
	class  class
	fields *dict // nil before they were set
	depth  int
}

// get returns a field.
func (o *object) get(field string) (value, bool) {
	if o.fields == nil {
		return nil, false
	}
	return o.fields.get(field)
}

// readPickle reads a Python pickle as inert data: what is in it, never what it would do. The pickle must be the whole of data.
//
// A pickle is a program for a small machine, and Python's own runs whatever it names. Here classes are names, objects are
// names with fields, and everything that would call something is refused: nothing is executed, imported, opened or
// resolved, whatever the file says. Size, stack, nesting and number of values are bounded before anything is allocated
// for them. The machine knows protocols 2 to 5 and must never learn to call.
func readPickle(data []byte) (value, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, MaxSize)
	}
	m := &machine{data: string(data), memo: map[uint32]value{}}
	for steps := 1; ; steps++ {
		if steps > maxSteps {
			return nil, m.fault(ErrTooLarge)
		}
		done, err := m.step()
		if err != nil {
			return nil, m.fault(err)
		}
		if done {
			return m.result()
		}
	}
}

// result is what a STOP leaves.
func (m *machine) result() (value, error) {
	if m.at != len(m.data) || len(m.stack) != 1 || len(m.marks) != 0 {
		return nil, m.fault(ErrMalformed)
	}
	return m.stack[0], nil
}

func (m *machine) fault(err error) error { return fmt.Errorf("%w (at byte %d)", err, m.at) }
