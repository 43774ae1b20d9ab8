package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pimsd/pimsd/internal/inwebosim"
)

// knob NAME VALUE… turns knobs of the simulator; a VALUE is JSON, or a text.
func setKnobs(ts *testscript.TestScript, _ bool, args []string) {
	knobs := simulatorOf(ts).Knobs()
	for i := 0; i < len(args); i += 2 {
		value := args[i+1]
		if !json.Valid([]byte(value)) {
			value = strconv.Quote(value)
		}
		ts.Check(json.Unmarshal(fmt.Appendf(nil, "{%q:%s}", args[i], value), &knobs))
	}
	ts.Check(simulatorOf(ts).SetKnobs(knobs))
}

// foreign FILE makes the simulator know the device that another client keeps in testdata FILE, by what FILE.json says.
func plantForeign(ts *testscript.TestScript, _ bool, args []string) {
	var v struct{ PIN, Serial, ID, LastSync, SID, K0, K1, Secret string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0]+".json")), &v))
	synced, err := strconv.ParseInt(v.LastSync, 10, 64)
	ts.Check(err)
	ts.Check(simulatorOf(ts).PlantDevice(inwebosim.Device{
		ID: v.ID, Serial: v.Serial, PIN: v.PIN, Secret: v.Secret, K0: v.K0, K1: v.K1, Services: []string{v.SID}, Tsync: synced,
	}))
}

// devices N wants the simulator to know N devices.
func countDevices(ts *testscript.TestScript, _ bool, args []string) {
	if known := len(simulatorOf(ts).DeviceIDs()); strconv.Itoa(known) != args[0] {
		ts.Fatalf("inWebo knows %d devices, want %s", known, args[0])
	}
}

// service N sets inwebo.service to the id of the N-th service, counted from 1, of a device that has as many.
func chooseService(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for _, id := range simulatorOf(ts).DeviceIDs() {
		expected, err := simulatorOf(ts).DeviceState(id)
		ts.Check(err)
		if len(expected.Services) >= n {
			ts.Setenv("PIMSD_INWEBO_SERVICE", expected.Services[n-1])
			return
		}
	}
	ts.Fatalf("no device has %d services", n)
}

// copyDevices puts the files of other clients into the folder of a story.
func copyDevices(dir string) error {
	return os.CopyFS(dir, os.DirFS("../../internal/devicefile/testdata"))
}
