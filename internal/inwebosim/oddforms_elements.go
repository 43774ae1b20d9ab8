package inwebosim

import (
	"slices"
	"strconv"
	"strings"
)

// elementForms are the odd forms of the elements below the root.
func elementForms() []form {
	return slices.Concat(unknownElements(), repeatedElements(), blankElements(), serviceLists())
}

// complete is a form that spoils none of the answer.
func complete(name Form, about string, edit func([]Field) []Field) form {
	return form{OddForm: OddForm{Name: name, About: about, At: everyExchange(), Reading: ReadingComplete}, edit: edit}
}

// unreadable is a form of which not even err can be read.
func unreadable(name Form, about string, edit func([]Field) []Field) form {
	f := complete(name, about, edit)
	f.Reading = ReadingUnreadable
	return f
}

// at narrows the form to some exchanges.
func (f form) at(where ...Match) form {
	f.At = where
	return f
}

// spoiling names the elements that must not be used.
func (f form) spoiling(names ...string) form {
	f.Spoils = names
	return f
}

func unknownElements() []form {
	return []form{
		complete("unknown-twice", "an unknown element twice, with different values", add(Field{"m_odd", "1"}, Field{"m_odd", "2"})),
		complete("unknown-twice-empty", "an unknown element twice, empty", add(Field{"m_odd", ""}, Field{"m_odd", ""})),
		complete("many-elements", "900 unknown elements", addMany(900)),
		complete("large", "a message of 60,000 characters", add(Field{"m_text", strings.Repeat("x", 60_000)})),
		unreadable("too-many-elements", "5,000 unknown elements", addMany(5000)),
		unreadable("too-large", "a message of 128 KiB", add(Field{"m_text", strings.Repeat("x", 128<<10)})),
	}
}

func repeatedElements() []form {
	return []form{
		complete("repeated-same", "every element that belongs to no list twice, with the same value", func(fields []Field) []Field {
			return repeatSame(fields, "")
		}),
		complete("repeated-same-blanks", "the same, the second one with blanks around its value", func(fields []Field) []Field {
			return repeatSame(fields, " \n")
		}),
		complete("repeated-ignored", "elements that enter no proof twice, with different values",
			add(Field{"server", "a"}, Field{"server", "b"}, Field{"H", "1"}, Field{"H", "2"}, Field{"m_title", "c"}, Field{"m_title", "d"})),
		unreadable("err-different", "err twice, accepted and refused", func(fields []Field) []Field {
			if (answer{fields: fields}).get("err") == errOK {
				return append(fields, Field{"err", errAccess})
			}
			return append(fields, Field{"err", errOK})
		}),
		unreadable("err-missing", "no err", func(fields []Field) []Field {
			return slices.DeleteFunc(fields, func(f Field) bool { return f.Name == "err" })
		}),
	}
}

func blankElements() []form {
	return []form{
		complete("blanks-around-values", "blanks and line breaks around every value", func(fields []Field) []Field {
			return mapValues(fields, func(value string) string { return "\r\n\t " + value + " \t\n" })
		}),
		complete("blank-fields", "synchronization fields of nothing but blanks", func(fields []Field) []Field {
			for _, name := range []string{"K0", "K1", "dK1", "J", "s_n", "Tsync", "id"} {
				if !(answer{fields: fields}).has(name) {
					fields = append(fields, Field{name, " \n "})
				}
			}
			return fields
		}),
	}
}

// serviceLists are service lists that do not add up, and some that only look so.
func serviceLists() []form {
	list := func(name Form, about string, edit func([]Field) []Field) form {
		f := complete(name, about, edit).at(Match{Action: actionFinalize, Mode: modeActivate}, Match{Action: actionFinalize, Mode: modeOTP})
		f.needsServices = true
		return f
	}
	msCount := func(name Form, about string, edit func([]Field) []Field) form {
		return complete(name, about, edit).at(Match{Action: actionFinalize, Mode: modeActivate})
	}
	drop := func(name string) func([]Field) []Field {
		return func(fields []Field) []Field {
			return slices.DeleteFunc(fields, func(f Field) bool { return f.Name == name })
		}
	}
	return []form{
		list("services-count-blanks", "the number of services with blanks around it",
			change("s_n", func(v string) string { return " " + v + "\n" })),
		list("services-nameless", "services without names", drop("s_name")),
		list("services-names-fewer", "one s_name fewer than there are s_id", func(fields []Field) []Field {
			at := indexOf(fields, "s_name")
			return slices.Delete(fields, max(at, 0), at+1)
		}),
		list("services-name-latin-1", "a service name with a byte that is not UTF-8",
			change("s_name", func(string) string { return "Citro\xebn" })),
		list("services-count-differs", "one service fewer than counted", change("s_n", plusOne)).spoiling("services"),
		list("services-count-no-number", "a number of services that is none",
			change("s_n", func(string) string { return "several" })).spoiling("services"),
		list("services-id-unusable", "an s_id that is not ASCII", change("s_id", func(v string) string { return v + "é" })).spoiling("services"),
		list("offline-unusable", "K and H that are no numbers", add(Field{"H", "é\u00a0"}, Field{"K", "é\u00a0"})),
		msCount("secrets-count-blanks", "ms_n with blanks around it", change("ms_n", func(v string) string { return " " + v + "\n" })),
		msCount("secrets-count-differs", "one ms_id fewer than counted", change("ms_n", plusOne)).spoiling("ms_n"),
	}
}

// add appends elements.
func add(more ...Field) func([]Field) []Field {
	return func(fields []Field) []Field { return append(fields, more...) }
}

// addMany appends that many unknown elements.
func addMany(count int) func([]Field) []Field {
	return func(fields []Field) []Field {
		for range count {
			fields = append(fields, Field{"m_odd", "1"})
		}
		return fields
	}
}

// change replaces the value of every element of that name.
func change(name string, to func(string) string) func([]Field) []Field {
	return func(fields []Field) []Field {
		for i := range fields {
			if fields[i].Name == name {
				fields[i].Value = to(fields[i].Value)
			}
		}
		return fields
	}
}

func mapValues(fields []Field, to func(string) string) []Field {
	for i := range fields {
		fields[i].Value = to(fields[i].Value)
	}
	return fields
}

// repeatSame repeats the elements that belong to no list, with blanks around the second value.
func repeatSame(fields []Field, blanks string) []Field {
	for _, f := range slices.Clone(fields) {
		if !isListed(f.Name) {
			fields = append(fields, Field{f.Name, blanks + f.Value + blanks})
		}
	}
	return fields
}

// isListed reports whether an element is a member of a list, which repeats.
func isListed(name string) bool {
	if name == "s_n" || name == "ms_n" {
		return false
	}
	return strings.HasPrefix(name, "s_") || strings.HasPrefix(name, "ms_")
}

func plusOne(number string) string {
	n, err := strconv.Atoi(number)
	if err != nil {
		return number + "1"
	}
	return strconv.Itoa(n + 1)
}
