package devicefile

import "strings"

// make knows the opcodes of classes and objects, as far as nothing is called.
func (m *machine) make(op byte) (is bool, err error) {
	switch op {
	case 'c': // GLOBAL: two lines
		module, err := m.line()
		if err != nil {
			return true, err
		}
		name, err := m.line()
		if err != nil {
			return true, err
		}
		return true, m.push(class{module, name})
	case 0x93: // STACK_GLOBAL
		return true, m.class()
	case 0x81: // NEWOBJ
		return true, m.instance()
	case 'b': // BUILD
		return true, m.build()
	default:
		return false, nil
	}
}

// line reads up to a line break.
func (m *machine) line() (string, error) {
	text, _, found := strings.Cut(m.data[m.at:], "\n")
	if !found {
		return "", ErrMalformed
	}
	m.at += len(text) + 1
	return text, nil
}

// class makes a class of the two names on the stack.
func (m *machine) class() error {
	names, err := m.pop(2)
	if err != nil {
		return err
	}
	module, ok := names[0].(string)
	name, alsoOK := names[1].(string)
	if !ok || !alsoOK {
		return ErrMalformed
	}
	return m.push(class{module, name})
}

// instance makes an object of a class; with arguments it would be a call of the class.
func (m *machine) instance() error {
	parts, err := m.pop(2)
	if err != nil {
		return err
	}
	class, ok := parts[0].(class)
	arguments, alsoOK := parts[1].(*list)
	switch {
	case !ok || !alsoOK || !arguments.tuple:
		return ErrMalformed
	case len(arguments.items) > 0:
		return ErrCalls
	}
	return m.push(&object{class: class})
}

// build sets the fields of an object. Python would call __setstate__ of a class that has it; here there are fields alone.
func (m *machine) build() error {
	state, err := m.pop(1)
	if err != nil {
		return err
	}
	top, err := m.top()
	object, ok := top.(*object)
	fields, alsoOK := state[0].(*dict)
	if err != nil || !ok || !alsoOK || object.fields != nil { // twice would copy fields, as often as a file likes
		return ErrMalformed
	}
	object.fields = fields
	return deepen(&object.depth, state)
}
