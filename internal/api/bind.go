package api

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-playground/validator/v10"

	"github.com/pimsd/pimsd/internal/secret"
)

// A request is a struct whose fields are string or secret.Text, each with its name in a json tag and its rules in a
// validate tag.

// newRules returns the validator of requests: it names fields as JSON does, and looks into secrets.
func newRules() *validator.Validate {
	rules := validator.New(validator.WithRequiredStructEnabled())
	rules.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("json") })
	rules.RegisterCustomTypeFunc(func(value reflect.Value) any {
		text, _ := reflect.TypeAssert[secret.Text](value)
		return text.Reveal()
	}, secret.Text{})
	return rules
}

// bind reads a request from a body that readBody has checked. The faults, in that order: an unknown name, the first in the body; a
// missing field and an invalid one, the first in the struct. Absent, null and empty are all missing.
func bind[Req any](rules *validator.Validate, body []byte) (Req, error) {
	var req Req
	noText, err := fill(fieldsOf(reflect.ValueOf(&req).Elem()), body)
	if err != nil {
		return req, err
	}
	err = rules.Struct(req)
	violations, ok := errors.AsType[validator.ValidationErrors](err)
	if err != nil && !ok {
		return req, err
	}
	for _, v := range violations { // they hold the values: only name and rule may leave
		if v.Tag() == "required" && !slices.Contains(noText, v.Field()) {
			return req, &fault{errMissing, v.Field()}
		}
	}
	switch {
	case len(violations) > 0:
		return req, &fault{errInvalid, violations[0].Field()}
	case len(noText) > 0: // of a field that may be missing
		return req, &fault{errInvalid, noText[0]}
	}
	return req, nil
}

// fill sets fields to what the body has for them, and returns the names of those whose values are neither a text nor null.
func fill(fields []field, body []byte) (noText []string, err error) {
	// readBody has seen that every name is there once.
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil { // the text of an error has the value
		return nil, errBody
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, errBody
		}
		name := token.String()
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			return nil, &fault{errUnknownName, name}
		}
		isText, err := fields[i].read(d)
		if err != nil {
			return nil, errBody
		}
		if !isText {
			noText = append(noText, name)
		}
	}
	return noText, nil
}

// read sets the field to the next value, and reports whether that is a text or null.
func (f field) read(d *jsontext.Decoder) (isText bool, err error) {
	switch d.PeekKind() {
	case '"':
		value, err := d.ReadToken()
		if err == nil {
			f.set(value.String())
		}
		return true, err
	case 'n':
		return true, d.SkipValue()
	default:
		return false, d.SkipValue()
	}
}

// field is one of a request's, by its name in JSON.
type field struct {
	name string
	to   any
}

func fieldsOf(request reflect.Value) []field {
	var fields []field
	for f, value := range request.Fields() {
		fields = append(fields, field{f.Tag.Get("json"), value.Addr().Interface()})
	}
	return fields
}

// canonical writes a request so that two of them are written alike only if all their fields are equal.
func canonical[Req any](req Req) secret.Bytes {
	var text []byte
	for _, f := range fieldsOf(reflect.ValueOf(&req).Elem()) {
		value := f.text()
		text = fmt.Appendf(text, "%s %d:%s\n", f.name, len(value), value)
	}
	return secret.NewBytes(text)
}

// text returns what the field is set to.
func (f field) text() string {
	switch to := f.to.(type) {
	case *string:
		return *to
	case *secret.Text:
		return to.Reveal()
	default:
		panic(f.unknownType())
	}
}

// set sets the field to a text.
func (f field) set(text string) {
	switch to := f.to.(type) {
	case *string:
		*to = text
	case *secret.Text:
		*to = secret.NewText(text)
	default:
		panic(f.unknownType())
	}
}

// unknownType says what is wrong with the field of a request that is neither a string nor a secret.Text.
func (f field) unknownType() string {
	return fmt.Sprintf("the field %s of a request is %T: make it a string or a secret.Text", f.name, f.to)
}

// fault is a cause that concerns one parameter.
type fault struct {
	cause     error
	parameter string
}

// Error names the parameter, unless it is one that only the caller knows.
func (f *fault) Error() string {
	if f.cause == errUnknownName { //nolint:errorlint // it is set by bind, bare
		return f.cause.Error()
	}
	return f.cause.Error() + ": " + f.parameter
}

func (f *fault) Unwrap() error { return f.cause }
