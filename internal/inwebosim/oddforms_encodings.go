package inwebosim

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"
)

// encodingForms are the odd forms of the text's encoding. Each answer has a message that is not ASCII.
func encodingForms() []form {
	encoded := func(name Form, about string, write func(answer) []byte) form {
		f := written(name, about, func(ans answer) []byte { return write(accented(ans)) })
		f.contentType = "text/xml"
		return f
	}
	return []form{
		encoded("encoding-iso-8859-1", "ISO-8859-1, declared", func(ans answer) []byte {
			return declared(declarationOf("ISO-8859-1"), singleByte(undeclared(ans), nil))
		}),
		encoded("encoding-windows-1252", "windows-1252, declared, with characters that ISO-8859-1 lacks", func(ans answer) []byte {
			ans.fields = append(ans.fields, Field{"m_text", "l’auto – 9 €"})
			return declared(declarationOf("windows-1252"), singleByte(undeclared(ans), windows1252()))
		}),
		encoded("encoding-us-ascii", "US-ASCII, declared, other characters as references", func(ans answer) []byte {
			return declared(declarationOf("US-ASCII"), asciiBytes(undeclared(ans)))
		}),
		encoded("encoding-message-latin-1", "UTF-8, declared, and a message in ISO-8859-1", func(ans answer) []byte {
			ans.fields = append(ans.fields, Field{"m_text", "d\xe9j\xe0"})
			return ans.document()
		}),
		encoded("encoding-bom", "UTF-8 with a byte order mark", func(ans answer) []byte {
			return append([]byte("\ufeff"), ans.document()...)
		}),
		encoded("encoding-bom-undeclared", "UTF-8 with a byte order mark and no declaration", func(ans answer) []byte {
			return append([]byte("\ufeff"), undeclared(ans)...)
		}),
		encoded("encoding-utf-16-le", "UTF-16, declared, little-endian with a byte order mark", func(ans answer) []byte {
			return utf16Bytes(declared(declarationOf("UTF-16"), undeclared(ans)), binary.LittleEndian)
		}),
		encoded("encoding-utf-16-be", "UTF-16, declared, big-endian with a byte order mark", func(ans answer) []byte {
			return utf16Bytes(declared(declarationOf("UTF-16"), undeclared(ans)), binary.BigEndian)
		}),
		encoded("encoding-utf-16-undeclared", "UTF-16 with a byte order mark and no declaration", func(ans answer) []byte {
			return utf16Bytes(undeclared(ans), binary.LittleEndian)
		}),
	}
}

// declarationOf is an XML declaration of that encoding.
func declarationOf(encoding string) string {
	return `<?xml version="1.0" encoding="` + encoding + `"?>`
}

// accented is the answer with a message that is not ASCII, of characters that ISO-8859-1 has.
func accented(ans answer) answer {
	return answer{ans.root, append(slices.Clone(ans.fields), Field{"m_text", "Citroën déjà là"})}
}

// windows1252 are the characters that the tests use of those that ISO-8859-1 lacks.
func windows1252() map[rune]byte { return map[rune]byte{'€': 0x80, '’': 0x92, '–': 0x96} }

// singleByte encodes UTF-8 in one byte for each character: that of the table, or its number in ISO-8859-1.
func singleByte(text []byte, table map[rune]byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if b, ok := table[r]; ok {
			out = append(out, b)
		} else {
			out = append(out, byte(r))
		}
	}
	return out
}

// asciiBytes writes what is not ASCII as character references.
func asciiBytes(text []byte) []byte {
	var b strings.Builder
	for _, r := range string(text) {
		if r > 126 {
			b.WriteString(references(string(r)))
		} else {
			b.WriteRune(r)
		}
	}
	return []byte(b.String())
}

// utf16Bytes encodes UTF-8 as UTF-16 with a byte order mark.
func utf16Bytes(text []byte, order binary.AppendByteOrder) []byte {
	out := order.AppendUint16(nil, 0xFEFF)
	for _, unit := range utf16.Encode([]rune(string(text))) {
		out = order.AppendUint16(out, unit)
	}
	return out
}
