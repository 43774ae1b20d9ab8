package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// baselineDevice is a device as the baseline knows it.
type baselineDevice struct {
	mu         sync.Mutex
	id, serial string
	sid, tsync string
	k0, k1     string
}

func newBaselineDevice(d inwebosim.Device) *baselineDevice {
	return &baselineDevice{
		id: d.ID, serial: d.Serial, sid: d.Services[0], tsync: strconv.FormatInt(d.Tsync, 10), k0: d.K0, k1: d.K1,
	}
}

// common is what both questions have.
func (d *baselineDevice) common() string {
	return "&mode=otp&id=" + d.id + "&lastsync=" + d.tsync + "&sid=" + d.sid +
		"&macid=bb8e981582b0f31353108fb020bead1c&version=Generator-1.0%2F0.2.11"
}

func (d *baselineDevice) setup() string { return "action=ActionSetup" + d.common() }

func (d *baselineDevice) finalize(challenge string) string {
	return "action=ActionFinalize" + d.common() + "&lang=fr&ack=&keytype=0" +
		"&R0=" + digest(challenge+";"+d.k0+";"+d.serial) +
		"&R1=" + digest(challenge+";"+d.k0+";"+d.k1) +
		"&R2=" + digest(challenge+";"+d.k0+";"+pin)
}

// step moves K1, as inWebo has.
func (d *baselineDevice) step(dK1 string) { d.k1 = digest(d.k1 + ";" + dK1)[:32] }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
