package devicefile

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// fields are those of the client's object, and of the inWebo data in it.
type fields struct{ client, data *object }

// maxServices and maxText, in bytes, are more than any device has.
const (
	maxServices = 16
	maxText     = 1 << 10
)

// device makes a device of the fields, each checked.
func (f fields) device(client string) (Device, error) {
	r := &reader{}
	id, deviceID, alea := r.text(f.data, "iwid"), r.text(f.client, "device_id"), r.text(f.client, "iwalea")
	d := Device{Client: client, MacID: r.text(f.client, "macid"), PIN: secret.NewText(r.text(f.client, "codepin"))}
	k0, k1, secvals := r.text(f.data, "iwK0"), r.text(f.data, "iwK1"), r.texts(f.data, "iwsecval")
	services := r.services(f.data)
	offline := inwebo.Offline{J: r.text(f.data, "iwJ"), K: r.text(f.data, "iwK"), H: r.text(f.data, "iwH")}
	sync := r.text(f.data, "iwTsync")
	if r.err != nil {
		return Device{}, r.err
	}
	if id == "" || deviceID == "" || k0 == "" || k1 == "" || len(secvals) == 0 || len(services) == 0 {
		return Device{}, ErrNotActivated
	}
	serial, err := ratchet.ParseSerial(deviceID, alea)
	if err != nil {
		return Device{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if err := check(k0, k1, secvals, d.PIN.Reveal()); err != nil {
		return Device{}, err
	}
	d.secval = secret.NewText(secvals[0])
	d.found = otp.ForeignDevice{
		Serial: serial, Identity: inwebo.Identity{ID: id, LastSync: cmp.Or(sync, "0")}, Services: services, Offline: offline,
		State: ratchet.State{Keys: ratchet.Keys{K0: secret.NewText(k0), K1: secret.NewText(k1)}},
	}
	return d, nil
}

// check wants keys of the form that enters hashes, one device secret for all services, and a PIN that can be one.
func check(k0, k1 string, secvals []string, pin string) error {
	for name, key := range map[string]string{"iwK0": k0, "iwK1": k1, "iwsecval": secvals[0]} {
		if !isKey(key) {
			return lacking(name)
		}
	}
	if slices.ContainsFunc(secvals, func(other string) bool { return other != secvals[0] }) {
		return lacking("iwsecval")
	}
	if pin != "" && !isPIN(pin) {
		return lacking("codepin")
	}
	return nil
}

func isKey(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == ratchet.KeyDigits && s == strings.ToLower(s)
}

func isPIN(s string) bool {
	return len(s) >= 4 && len(s) <= 8 && strings.Trim(s, "0123456789") == ""
}

// reader reads fields until one has a form that it should not have.
type reader struct{ err error }

// services returns the list of services. Names enter no proof: a service whose name cannot be used is called by its id.
func (r *reader) services(o *object) []inwebo.Service {
	ids, names := r.texts(o, "iwsrvid"), serviceNames(o)
	services := make([]inwebo.Service, len(ids))
	for i, id := range ids {
		services[i] = inwebo.Service{ID: id, Name: id}
		if len(names) == len(ids) && names[i] != "" {
			services[i].Name = names[i]
		}
	}
	return services
}

// serviceNames returns the names of the services, empty those that cannot be shown; nothing if they are no list of texts.
func serviceNames(o *object) (names []string) {
	v, _ := o.get("iwsrvname")
	var items []value
	switch v := v.(type) {
	case string:
		items = []value{v}
	case *list:
		items = v.items[:min(len(v.items), maxServices+1)]
	}
	for _, item := range items {
		name, _ := item.(string)
		unusable := func(r rune) bool { return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) } // Zs: spaces of every kind
		if len(name) > maxText || strings.ContainsFunc(name, unusable) {
			name = ""
		}
		names = append(names, name)
	}
	return names
}

// text returns a field that is a text or a number; empty when it is absent or None.
func (r *reader) text(o *object, name string) string {
	v, _ := o.get(name)
	switch v := v.(type) {
	case nil:
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return r.plain(v, name)
	}
}

// texts returns a field that is a list of texts, or one text when there is one service. A list may be empty.
func (r *reader) texts(o *object, name string) (all []string) {
	v, _ := o.get(name)
	items := []value{v}
	switch v := v.(type) {
	case nil:
		return nil
	case *list:
		items = v.items
	}
	if len(items) > maxServices {
		r.err = cmp.Or(r.err, lacking(name))
		return nil
	}
	for _, item := range items {
		all = append(all, r.plain(item, name))
	}
	return all
}

// plain refuses what is no text, and a text that could play tricks on the terminal on which it is shown, or that is longer than any of a
// device.
func (r *reader) plain(v value, name string) string {
	text, ok := v.(string)
	if !ok || len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		r.err = cmp.Or(r.err, lacking(name))
		return ""
	}
	return text
}

// lacking says which field is not of the form that the known clients write.
func lacking(name string) error {
	return fmt.Errorf("%w: its field %s is missing or has another form", ErrForeign, name)
}
