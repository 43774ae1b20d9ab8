package api

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// member is one name of a JSON object, and its value as it was sent.
type member struct {
	name  string
	value json.RawMessage
}

// readObject gives the members of body in their order. It refuses with errBody what is not one JSON object in UTF-8, and
// every object in it that has a name twice: encoding/json alone would take the last, and another reader the first.
func readObject(body []byte) ([]member, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, errBody
	}
	d := tokens(body)
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errBody
	}
	var members []member
	seen := map[string]bool{}
	for d.More() {
		name, err := nextName(d)
		if err != nil || seen[name] {
			return nil, errBody
		}
		seen[name] = true
		start := d.InputOffset()
		if !namesOnce(d) {
			return nil, errBody
		}
		value := bytes.TrimLeft(body[start:d.InputOffset()], ": \t\r\n") // what stands between a name and its value
		members = append(members, member{name, value})
	}
	return members, nil
}

// tokens reads body one token at a time, numbers as they are.
func tokens(body []byte) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return d
}

// namesOnce reads one value and tells whether every object in it has each of its names once. The value must be valid
// JSON: that bounds how deep it goes.
func namesOnce(d *json.Decoder) bool {
	open, err := d.Token()
	if err != nil {
		return false
	}
	if open != json.Delim('{') && open != json.Delim('[') {
		return true
	}
	var seen map[string]bool
	if open == json.Delim('{') {
		seen = map[string]bool{}
	}
	for d.More() {
		if seen != nil {
			name, err := nextName(d)
			if err != nil || seen[name] {
				return false
			}
			seen[name] = true
		}
		if !namesOnce(d) {
			return false
		}
	}
	_, err = d.Token() // the closing one
	return err == nil
}

// nextName reads the name that a member of an object begins with.
func nextName(d *json.Decoder) (string, error) {
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	name, ok := token.(string)
	if !ok {
		return "", errBody
	}
	return name, nil
}
