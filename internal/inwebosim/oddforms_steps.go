package inwebosim

import "strings"

// stepForms are answers of which one value that enters a proof or a request is unusable, all else being well.
func stepForms() []form {
	var list []form
	for _, name := range stepFields() {
		list = append(list, notASCII(name).at(finalizes()...), different(name).at(finalizes()...))
	}
	for _, name := range []string{"K0", "K1"} {
		list = append(list, misspelledKey(name)...)
	}
	challenged := []Match{{Action: actionSetup, Mode: modeOTP}, {Action: actionFinalize, Mode: modeActivate}}
	otp := Match{Action: actionFinalize, Mode: modeOTP}
	activation := Match{Action: actionSetup, Mode: modeActivate}
	return append(list,
		different("J").at(finalizes()...),
		notASCII("challenge").at(challenged...), different("challenge").at(challenged...),
		notASCII("defi").at(otp), different("defi").at(otp),
		notASCII("Kiw").at(activation), different("Kiw").at(activation),
	)
}

// notASCII spoils a value with a character that its form does not have; it is added where the answer lacks it.
func notASCII(name string) form {
	return complete(Form(name+"-not-ascii"), name+" with a character that is not ASCII", func(fields []Field) []Field {
		return change(name, func(v string) string { return v[:len(v)-1] + "é" })(atLeastOne(fields, name))
	}).spoiling(name)
}

// different sends an element a second time, with another value of the right form.
func different(name string) form {
	return complete(Form(name+"-different"), name+" twice, with different values", func(fields []Field) []Field {
		fields = atLeastOne(fields, name)
		last := "0"
		if strings.HasSuffix((answer{fields: fields}).get(name), last) {
			last = "1"
		}
		value := (answer{fields: fields}).get(name)
		return append(fields, Field{name, value[:len(value)-1] + last})
	}).spoiling(name)
}

// misspelledKey are keys of another length or with characters that are not hex.
func misspelledKey(name string) []form {
	spoiled := func(kind, about string, to func(string) string) form {
		return complete(Form(name+"-"+kind), name+" "+about, func(fields []Field) []Field {
			return change(name, to)(atLeastOne(fields, name))
		}).at(finalizes()...).spoiling(name)
	}
	return []form{
		spoiled("short", "of 30 digits", func(v string) string { return v[:30] }),
		spoiled("long", "of 34 digits", func(v string) string { return v + "00" }),
		spoiled("not-hex", "with a letter that is no digit", func(v string) string { return "g" + v[1:] }),
		spoiled("inner-blank", "with a blank in its middle", func(v string) string { return v[:16] + " " + v[16:] }),
	}
}

// atLeastOne adds an element with a value of the right form, unless the answer has one that is not empty.
func atLeastOne(fields []Field, name string) []Field {
	for i := range fields {
		if fields[i].Name == name {
			if fields[i].Value == "" {
				fields[i].Value = sample(name)
			}
			return fields
		}
	}
	return append(fields, Field{name, sample(name)})
}

// sample is a value of the right form.
func sample(name string) string {
	switch name {
	case "K0", "K1", "dK1":
		return strings.Repeat("0123456789abcdef", 2)
	case "id":
		return "0123456789abcdef"
	default:
		return "1700000000"
	}
}
