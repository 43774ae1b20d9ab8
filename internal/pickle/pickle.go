// Package pickle reads a Python pickle as inert data: what is in it, never what it would do.
//
// A pickle is a program for a small machine, and Python's own runs whatever it names. Here classes are names, objects are
// names with fields, and everything that would call something is refused: nothing is executed, imported, opened or
// resolved, whatever the file says. Size, stack, nesting and number of values are bounded before anything is allocated
// for them. The package knows the machine of protocols 2 to 5 and must never learn to call.
package pickle

import (
	"errors"
	"fmt"
	"slices"
)

// MaxSize is the longest pickle that is read, in bytes. The devices that it was made for are below 4 KiB.
const MaxSize = 256 << 10

// Bounds of one reading.
const (
	maxSteps = 1 << 16 // opcodes, and so values
	maxStack = 1 << 13 // values that wait on the stack; Python sends a thousand members of a container at a time
	maxMarks = 1 << 6
	maxDepth = 32 // containers within containers
)

// Why a pickle is not read. The errors around them say where, and quote nothing of the file.
var (
	// ErrMalformed says that it is no pickle of the known protocols, or a broken one.
	ErrMalformed = errors.New("this is no pickle, or a broken one")
	// ErrTooLarge says that a bound of this package is exceeded.
	ErrTooLarge = errors.New("the pickle is larger or deeper than a device's")
	// ErrCalls says that reading it would mean to call something.
	ErrCalls = errors.New("the pickle would run code, which is never done")
)

// Value is nil, a bool, an int64, a float64, a string, Bytes, a Class, or one of *List, *Dict and *Object. Values may
// contain each other, and themselves: whoever walks them must bound the walk.
type Value any

// Bytes are Python's bytes.
type Bytes string

// Class is the name of one: nothing more is known of it.
type Class struct{ Module, Name string }

// List is a list or a tuple.
type List struct {
	Items []Value
	depth int
	tuple bool
}

// Dict is a dict in the order of its making.
type Dict struct {
	entries []entry
	depth   int
}

type entry struct{ key, value Value }

// Get gives the value of a text; the last one counts, as in Python.
func (d *Dict) Get(key string) (Value, bool) {
	for _, e := range slices.Backward(d.entries) {
		if e.key == Value(key) {
			return e.value, true
		}
	}
	return nil, false
}

// Object is an instance: a class, and the fields that were set on it.
type Object struct {
	Class  Class
	fields *Dict // nil before they were set
	depth  int
}

// Get gives a field.
func (o *Object) Get(field string) (Value, bool) {
	if o.fields == nil {
		return nil, false
	}
	return o.fields.Get(field)
}

// Read reads one pickle that is the whole of data.
func Read(data []byte) (Value, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, MaxSize)
	}
	m := &machine{data: string(data), memo: map[uint32]Value{}}
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
func (m *machine) result() (Value, error) {
	if m.at != len(m.data) || len(m.stack) != 1 || len(m.marks) != 0 {
		return nil, m.fault(ErrMalformed)
	}
	return m.stack[0], nil
}

func (m *machine) fault(err error) error { return fmt.Errorf("%w (at byte %d)", err, m.at) }
