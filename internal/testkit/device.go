package testkit

import (
	"encoding/hex"
	"fmt"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// ForeignDevice is a device of the simulator as the file of another client has it.
func ForeignDevice(d inwebosim.Device) otp.ForeignDevice {
	drawn, err := hex.DecodeString(d.Secret)
	if err != nil {
		panic(err) // the simulator writes hex
	}
	f := otp.ForeignDevice{
		Serial: ratchet.Serial(d.Serial), Identity: inwebo.Identity{ID: d.ID, LastSync: fmt.Sprint(d.Tsync)},
		State: ratchet.State{Keys: ratchet.Keys{K0: secret.NewText(d.K0), K1: secret.NewText(d.K1)}, Secret: secret.NewBytes(drawn)},
	}
	for _, id := range d.Services {
		f.Services = append(f.Services, inwebo.Service{ID: id, Name: "Cars " + id})
	}
	return f
}
