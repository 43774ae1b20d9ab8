package devicefile

import "unicode/utf8"

// text knows the opcodes of texts and bytes.
func (m *machine) text(op byte) (is bool, err error) {
	var size uint64
	switch op {
	case 0x8c, 'C': // SHORT_BINUNICODE, SHORT_BINBYTES
		size = 1
	case 'X', 'B': // BINUNICODE, BINBYTES
		size = 4
	case 0x8d, 0x8e: // BINUNICODE8, BINBYTES8
		size = 8
	default:
		return false, nil
	}
	raw, err := m.sized(size)
	switch {
	case err != nil:
		return true, err
	case op == 'C' || op == 'B' || op == 0x8e:
		return true, m.push(pyBytes(raw))
	case !utf8.ValidString(raw):
		return true, ErrMalformed
	default:
		return true, m.push(raw)
	}
}

// remember knows the opcodes of the memo.
func (m *machine) remember(op byte) (is bool, err error) {
	var at uint64
	switch op {
	case 0x94: // MEMOIZE
		at = uint64(len(m.memo))
	case 'q', 'h': // BINPUT, BINGET
		at, err = m.number(1)
	case 'r', 'j': // LONG_BINPUT, LONG_BINGET
		at, err = m.number(4)
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	place := uint32(at)
	if op == 'h' || op == 'j' {
		v, known := m.memo[place]
		if !known {
			return true, ErrMalformed
		}
		return true, m.push(v)
	}
	v, err := m.top()
	if err == nil {
		m.memo[place] = v
	}
	return true, err
}

// collect knows the opcodes of lists, tuples and dicts.
func (m *machine) collect(op byte) (is bool, err error) {
	switch op {
	case ']':
		return true, m.push(&list{})
	case '}':
		return true, m.push(&dict{})
	case ')':
		return true, m.push(&list{tuple: true})
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		items, err := m.pop(int(op) - 0x84)
		return true, m.tuple(items, err)
	case 't': // TUPLE
		items, err := m.popMark()
		return true, m.tuple(items, err)
	case 'a': // APPEND
		items, err := m.pop(1)
		return true, m.extend(items, err)
	case 'e': // APPENDS
		items, err := m.popMark()
		return true, m.extend(items, err)
	case 's': // SETITEM
		pairs, err := m.pop(2)
		return true, m.fill(pairs, err)
	case 'u': // SETITEMS
		pairs, err := m.popMark()
		return true, m.fill(pairs, err)
	default:
		return false, nil
	}
}

func (m *machine) tuple(items []value, err error) error {
	if err != nil {
		return err
	}
	list := &list{tuple: true}
	if err := list.add(items); err != nil {
		return err
	}
	return m.push(list)
}

// extend appends to the list on top.
func (m *machine) extend(items []value, err error) error {
	if err != nil {
		return err
	}
	top, err := m.top()
	list, is := top.(*list)
	if err != nil || !is || list.tuple {
		return ErrMalformed
	}
	return list.add(items)
}

func (l *list) add(items []value) error {
	l.items = append(l.items, items...)
	return deepen(&l.depth, items)
}

// fill sets members of the dict on top.
func (m *machine) fill(pairs []value, err error) error {
	if err != nil {
		return err
	}
	top, err := m.top()
	dict, is := top.(*dict)
	if err != nil || !is || len(pairs)%2 != 0 {
		return ErrMalformed
	}
	for i := 0; i < len(pairs); i += 2 {
		dict.entries = append(dict.entries, entry{pairs[i], pairs[i+1]})
	}
	return deepen(&dict.depth, pairs)
}

// deepen makes a container deeper than its parts were when they were put in.
func deepen(depth *int, parts []value) error {
	for _, part := range parts {
		*depth = max(*depth, 1+depthOf(part))
	}
	if *depth > maxDepth {
		return ErrTooLarge
	}
	return nil
}

func depthOf(v value) int {
	switch v := v.(type) {
	case *list:
		return v.depth
	case *dict:
		return v.depth
	case *object:
		return v.depth
	default:
		return 0
	}
}
