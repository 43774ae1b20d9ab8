// Package devicefile reads inWebo devices as other clients have saved them: otp.bin of psa_car_controller, the pickle of the Home
// Assistant integration, and the same object of clients that were made from these, also as base64.
//
// It recognizes a file by its content, takes what a device needs, and ignores the rest. It must never execute anything of a file, never
// open a file or ask another service itself, and never put anything of a file into an error, because a device is made of secrets.
package devicefile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// MaxSize is the longest file that is read, in bytes. The devices that it was made for are below 4 KiB.
const MaxSize = 256 << 10

// Why a file is no device that can be taken over.
var (
	// ErrForeign says that the file is whole, but of no client that is known, or of a version that is not.
	ErrForeign = errors.New("the file is no device of psa_car_controller, of the Home Assistant integration, or of a client made from them")
	// ErrEmpty means that the file has no content.
	ErrEmpty = errors.New("the file is empty")
	// ErrArchive means that the file is an archive, in which the device's own file may be.
	ErrArchive = errors.New("the file is an archive (ZIP or gzip)")
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

	found  otp.ForeignDevice // but for its secret
	secval secret.Text
}

// Read reads a device from the content of a file. The error wraps one of this package or of package
func Read(content []byte) (Device, error) {
	content, err := unwrap(content)
	if err != nil {
		return Device{}, err
	}
	root, err := readPickle(content)
	if err != nil {
		return Device{}, fmt.Errorf("read the file: %w", err)
	}
	client, fields, err := recognize(root)
	if err != nil {
		return Device{}, err
	}
	return fields.device(client)
}

// recognize returns the fields of the saved object and, in words, the client that saved it. What counts is how the classes
// are called: the modules that they are in have moved between versions, and other clients have the same classes elsewhere.
func recognize(root value) (client string, f fields, err error) {
	device, ok := root.(*object)
	if !ok || device.class.name != "Otp" {
		return "", fields{}, ErrForeign
	}
	inner, _ := device.get("data")
	data, ok := inner.(*object)
	if !ok || data.class.name != "IWData" {
		return "", fields{}, ErrForeign
	}
	return clientOf(device.class.module), fields{device, data}, nil
}

// maxModule is how much of a module's name is shown, in bytes.
const maxModule = 64

// clientOf names a client by the module of the object that it saves.
func clientOf(module string) string {
	switch {
	case strings.HasPrefix(module, "custom_components."):
		return "the Home Assistant integration"
	case strings.HasPrefix(module, "psa_car_controller."), strings.EqualFold(module, "otp.otp"): // as in 2021
		return "psa_car_controller"
	default:
		return "the client that calls its module " + input.Printable(module[:min(len(module), maxModule)])
	}
}

// Services are the names of the services that the device makes OTPs for.
func (d Device) Services() []string {
	names := make([]string, len(d.found.Services))
	for i, service := range d.found.Services {
		names[i] = service.Name
	}
	return names
}

// With returns the device as it is taken over by an operator that typed that PIN, or none. A PIN that is typed must be the
// one in the file: ErrOtherPIN. Where the file has none nothing can tell a wrong one, and the first that inWebo accepts
// counts.
func (d Device) With(typed secret.Text) (otp.ForeignDevice, error) {
	found := d.found
	switch {
	case d.PIN.IsEmpty():
		found.State.Unopened = d.secval
	case !typed.IsEmpty() && !typed.Equal(d.PIN):
		return otp.ForeignDevice{}, ErrOtherPIN
	default:
		found.State.Secret = ratchet.NewKma(d.PIN, found.Serial).SecretOf(d.secval)
	}
	return found, nil
}
