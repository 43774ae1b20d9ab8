package devicefile

import (
	"encoding/binary"
	"math"
)

// machine is the one that a pickle is a program for.
type machine struct {
	data  string
	at    int
	stack []value
	marks []int // stack heights
	memo  map[uint32]value
}

// step carries out one opcode, and reports whether it was the last.
func (m *machine) step() (done bool, err error) {
	op, err := m.number(1)
	if err != nil {
		return false, err
	}
	if op == '.' {
		return true, nil
	}
	for _, known := range []func(byte) (bool, error){m.atom, m.text, m.remember, m.collect, m.make} {
		if is, err := known(byte(op)); is {
			return false, err
		}
	}
	return false, refusal(byte(op))
}

// refusal says why an opcode is not carried out.
func refusal(op byte) error {
	switch op {
	case 'R', 'i', 'o', 0x92, 'P', 'Q', 0x82, 0x83, 0x84, 0x97, 0x98: // REDUCE, INST, OBJ, NEWOBJ_EX, PERSID, EXT, buffers
		return ErrCalls
	default:
		return ErrMalformed
	}
}

// take returns the next n bytes.
func (m *machine) take(n uint64) (string, error) {
	if n > uint64(len(m.data)-m.at) {
		return "", ErrMalformed
	}
	taken := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return taken, nil
}

// number reads one of 1 to 8 bytes, little end first.
func (m *machine) number(size uint64) (uint64, error) {
	raw, err := m.take(size)
	if err != nil {
		return 0, err
	}
	var whole [8]byte
	copy(whole[:], raw)
	return binary.LittleEndian.Uint64(whole[:]), nil
}

// sized reads a run of bytes whose length is given by a number of that size.
func (m *machine) sized(size uint64) (string, error) {
	n, err := m.number(size)
	if err != nil {
		return "", err
	}
	return m.take(n)
}

func (m *machine) push(v value) error {
	if len(m.stack) == maxStack {
		return ErrTooLarge
	}
	m.stack = append(m.stack, v)
	return nil
}

// stackFloor is the height that nothing may be taken below: that of the last mark.
func (m *machine) stackFloor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// pop takes the n topmost values off the stack, the lowest first.
func (m *machine) pop(n int) ([]value, error) {
	if len(m.stack)-n < m.stackFloor() {
		return nil, ErrMalformed
	}
	top := m.stack[len(m.stack)-n:]
	m.stack = m.stack[:len(m.stack)-n]
	return top, nil
}

// popMark takes everything down to the last mark off the stack, and the mark.
func (m *machine) popMark() ([]value, error) {
	if len(m.marks) == 0 {
		return nil, ErrMalformed
	}
	above, err := m.pop(len(m.stack) - m.stackFloor())
	m.marks = m.marks[:len(m.marks)-1]
	return above, err
}

// top is the topmost value, which stays.
func (m *machine) top() (value, error) {
	if len(m.stack) == m.stackFloor() {
		return nil, ErrMalformed
	}
	return m.stack[len(m.stack)-1], nil
}

// atom knows the opcodes of values without parts, of protocol and framing, and of the stack.
func (m *machine) atom(op byte) (is bool, err error) {
	switch op {
	case 0x80: // PROTO
		version, err := m.number(1)
		if err == nil && (version < 2 || version > 5) {
			err = ErrMalformed
		}
		return true, err
	case 0x95: // FRAME: where it ends does not matter, but that there is as much
		n, err := m.number(8)
		if err == nil && n > uint64(len(m.data)-m.at) {
			err = ErrMalformed
		}
		return true, err
	case '(': // MARK
		if len(m.marks) == maxMarks {
			return true, ErrTooLarge
		}
		m.marks = append(m.marks, len(m.stack))
		return true, nil
	case '0': // POP
		_, err = m.pop(1)
		return true, err
	case '1': // POP_MARK
		_, err = m.popMark()
		return true, err
	case 'N':
		return true, m.push(nil)
	case 0x88:
		return true, m.push(true)
	case 0x89:
		return true, m.push(false)
	default:
		return m.numeral(op)
	}
}

// numeral knows the opcodes of numbers.
func (m *machine) numeral(op byte) (is bool, err error) {
	var n uint64
	switch op {
	case 'K': // BININT1
		n, err = m.number(1)
	case 'M': // BININT2
		n, err = m.number(2)
	case 'J': // BININT
		n, err = m.number(4)
		n = uint64(int64(int32(uint32(n)))) // four bytes, signed
	case 0x8a: // LONG1
		return true, m.long()
	case 'G': // BINFLOAT, big end first
		raw, err := m.take(8)
		if err != nil {
			return true, err
		}
		return true, m.push(math.Float64frombits(binary.BigEndian.Uint64([]byte(raw))))
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	return true, m.push(int64(n))
}

// long reads a signed number of up to 8 bytes; no device has a longer one.
func (m *machine) long() error {
	raw, err := m.sized(1)
	if err != nil {
		return err
	}
	if len(raw) > 8 {
		return ErrTooLarge
	}
	var n int64
	for i := range len(raw) {
		n |= int64(raw[i]) << (8 * i)
	}
	if unused := 64 - 8*len(raw); len(raw) > 0 {
		n = n << unused >> unused
	}
	return m.push(n)
}
