package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// interruptedStore is a store during whose second look for a device the command is interrupted.
type interruptedStore struct {
	*storetest.Memory

	interrupt context.CancelFunc
	looks     int
}

func (s *interruptedStore) BySerial(ctx context.Context, serial string) ([]otp.Row, error) {
	if s.looks++; s.looks == 2 {
		s.interrupt()
	}
	return s.Memory.BySerial(ctx, serial)
}

// A device whose import is interrupted was not tried: nothing is wrong with its line.
func TestInterruptedImportBlamesNoLine(t *testing.T) {
	t.Parallel()
	const devices = "../../internal/devicefile/testdata/devices/"
	var all []listedDevice
	for i, file := range []string{"psa_car_controller-otp.bin", "home-assistant_otp.pickle", "psa_car_controller-2021-otp.bin"} {
		all = append(all, listedDevice{line: i + 1, account: "account" + strings.Repeat("x", i), file: devices + file})
	}
	first, err := readDevice(all[0].file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	store := &interruptedStore{Memory: storetest.NewMemory(), interrupt: interrupt}
	core := &app.Core{OTP: otp.New(store, nil, otp.Limits{Deadline: time.Minute, QueueWait: time.Minute, StoreTimeout: time.Minute}, nil)}
	var report bytes.Buffer
	err = process{stdout: &report}.importList(ctx, core, first.MacID, all, false)
	if !errors.Is(err, errInterrupted) || report.String() != "1 imported, 0 there already, 0 failed, 2 not tried.\n" {
		t.Errorf("the report is %q, and the error %v", report.String(), err)
	}
}
