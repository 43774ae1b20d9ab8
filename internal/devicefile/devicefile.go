// Package devicefile reads inWebo devices as other clients have saved them: psa_car_controller's otp.bin, by the names of
// today and of 2021, and the pickle of the Home Assistant integration.
//
// It recognises a file by what is in it, not by its name, takes what a device needs and ignores the rest. It opens
// nothing, asks no one, and must never let anything of a file into an error text, for a device is made of secrets.
package devicefile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/pickle"
	"github.com/pimsd/pimsd/internal/secret"
)

// MaxSize is the longest file that is read, in bytes.
const MaxSize = pickle.MaxSize

// Why a file is no device that can be taken over.
var (
	// ErrForeign says that the file is whole, but of no client that is known, or of a version that is not.
	ErrForeign = errors.New("the file is no device of psa_car_controller or of the Home Assistant integration")
	// ErrNotActivated says that the client drew a serial and never finished an activation.
	ErrNotActivated = errors.New("the device in the file was never activated")
	// ErrOtherPIN says that the PIN that was typed is not the one in the file.
	ErrOtherPIN = errors.New("the PIN is not the one in the file")
)

// Device is what a file has.
type Device struct {
	Client string // that saved it, in words
	MacID  string // of the service that it is a device of; 32 hex digits
	// PIN is the one that the client kept; empty when it kept none.
	PIN secret.Text

	found  otp.Found // but for its secret
	secval secret.Text
}

// Read reads a device from the content of a file.
func Read(content []byte) (Device, error) {
	root, err := pickle.Read(content)
	if err != nil {
		return Device{}, fmt.Errorf("read the file: %w", err)
	}
	client, fields, err := recognise(root)
	if err != nil {
		return Device{}, err
	}
	return fields.device(client)
}

// Names of the clients, by the first part of their modules' names.
const (
	psaCarController = "psa_car_controller"
	homeAssistant    = "the Home Assistant integration"
)

// recognise tells the client by the class of the saved object, and gives its fields. The modules moved between versions,
// but end alike.
func recognise(root pickle.Value) (client string, f fields, err error) {
	device, ok := root.(*pickle.Object)
	if !ok || !isClass(device, "otp.otp", "Otp") {
		return "", fields{}, ErrForeign
	}
	inner, _ := device.Get("data")
	data, ok := inner.(*pickle.Object)
	if !ok || !isClass(data, "otp.load", "IWData") {
		return "", fields{}, ErrForeign
	}
	client = psaCarController
	if strings.HasPrefix(device.Class.Module, "custom_components.") {
		client = homeAssistant
	}
	return client, fields{device, data}, nil
}

func isClass(o *pickle.Object, module, name string) bool {
	got := strings.ToLower(o.Class.Module)
	return o.Class.Name == name && (got == module || strings.HasSuffix(got, "."+module))
}

// Services are the names of the services that the device makes OTPs for.
func (d Device) Services() []string {
	names := make([]string, len(d.found.Services))
	for i, service := range d.found.Services {
		names[i] = service.Name
	}
	return names
}

// With gives the device as it is taken over by someone who has typed that PIN, or none. A PIN that is typed must be the
// one in the file: ErrOtherPIN. Where the file has none nothing can tell a wrong one, and the first that inWebo accepts
// counts.
func (d Device) With(typed secret.Text) (otp.Found, error) {
	found := d.found
	switch {
	case d.PIN.IsEmpty():
		found.State.Unopened = d.secval
	case !typed.IsEmpty() && !typed.Equal(d.PIN):
		return otp.Found{}, ErrOtherPIN
	default:
		found.State.Secret = ratchet.NewKma(d.PIN, found.Serial).SecretOf(d.secval)
	}
	return found, nil
}
