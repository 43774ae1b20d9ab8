package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-playground/validator/v10"

	"github.com/pimsd/pimsd/internal/secret"
)

// A request is a struct whose fields are string or secret.Text, each with its name in a json tag and its rules in a
// validate tag.

// newRules gives the validator of requests: it names fields as JSON does, and looks into secrets.
func newRules() *validator.Validate {
	rules := validator.New(validator.WithRequiredStructEnabled())
	rules.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("json") })
	rules.RegisterCustomTypeFunc(func(value reflect.Value) any {
		text, _ := reflect.TypeAssert[secret.Text](value)
		return text.Reveal()
	}, secret.Text{})
	return rules
}

// bind makes a request of the members. The faults, in that order: an unknown name, the first in the body; a missing field
// and an invalid one, the first in the struct. Absent, null and empty are all missing.
func bind[Req any](rules *validator.Validate, members []member) (Req, error) {
	var req Req
	fields := fieldsOf(reflect.ValueOf(&req).Elem())
	for _, m := range members {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == m.name }) {
			return req, &fault{errUnknownName, m.name}
		}
	}
	broken := map[string]string{} // field to the rule that it breaks
	for _, f := range fields {
		if !f.fill(members) {
			broken[f.name] = "type"
		}
	}
	err := rules.Struct(req)
	violations, ok := errors.AsType[validator.ValidationErrors](err)
	if err != nil && !ok {
		return req, err
	}
	for _, v := range violations { // they hold the values: nothing but name and rule may leave
		if broken[v.Field()] == "" {
			broken[v.Field()] = v.Tag()
		}
	}
	return req, worst(fields, broken)
}

// worst gives the fault that is named: the first missing field, else the first that breaks any rule.
func worst(fields []field, broken map[string]string) error {
	for _, f := range fields {
		if broken[f.name] == "required" {
			return &fault{errMissing, f.name}
		}
	}
	for _, f := range fields {
		if broken[f.name] != "" {
			return &fault{errInvalid, f.name}
		}
	}
	return nil
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

// fill sets the field to what the members have for it, if they have it. It gives false when that is no text.
func (f field) fill(members []member) bool {
	i := slices.IndexFunc(members, func(m member) bool { return m.name == f.name })
	if i < 0 {
		return true
	}
	var text *string
	if err := json.Unmarshal(members[i].value, &text); err != nil {
		return false
	}
	if text == nil {
		return true
	}
	switch to := f.to.(type) {
	case *string:
		*to = *text
	case *secret.Text:
		*to = secret.NewText(*text)
	default:
		panic(f.misfit())
	}
	return true
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
		panic(f.misfit())
	}
}

// misfit is what a field of another type is.
func (f field) misfit() string {
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
