package inwebosim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// control makes one call of the control listener.
func control(t *testing.T, s *Simulator, call, body string) (int, string) {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	request, err := http.NewRequest(method, s.ControlURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestControlDoor goes through every call once, each seen to have worked.
func TestControlDoor(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	other := fmt.Sprintf(`{"id":"feed","serial":"x/_/%s","login":"","pin":"4321","secret":"%s","K0":"%s","K1":"%s","services":["7"],"tsync":5}`,
		randomHex(16), randomHex(16), randomHex(16), randomHex(16))
	device := "/devices/" + c.id
	for _, step := range []struct {
		call, body string
		status     int
		want       string // in the answer
	}{
		{"GET /", "", 200, "POST /devices/{id}/unblock   no longer\n"},
		{"GET /knobs", "", 200, `"ratchet":"dK1"`},
		{"PATCH /knobs", `{"ratchet":"K1","otp-life":"1m"}`, 200, `"ratchet":"K1"`},
		{"PATCH /knobs", `{"ratchet":"K2","services":0}`, 400, `services is 0`},
		{"PATCH /knobs", `{"ratchett":"K1"}`, 400, "unknown field"},
		{"PATCH /knobs", `{} {}`, 400, "goes on"},
		{"POST /faults", `{"kind":"delay","mode":"otp","delay":"1ms","times":2}`, 204, ""},
		{"GET /faults", "", 200, `"delay":"1ms"`},
		{"POST /faults", `{"kind":"status"}`, 400, "HTTP status"},
		{"DELETE /faults", "", 204, ""},
		{"GET /faults", "", 200, "[]"},
		{"GET /history?mode=ms", "", 200, `"ms_val0"`},
		{"GET /history?after=3", "", 200, "[]"},
		{"GET /history?after=x", "", 400, "number"},
		{"GET /totals", "", 200, `"activations":1`},
		{"POST /accounts", `{"login":"new","codes":[{"value":"777777","once":true}]}`, 204, ""},
		{"POST /accounts", `{}`, 400, "login"},
		{"GET /accounts/new", "", 200, `"guesses":{"in_a_row":0`},
		{"POST /accounts/new/unblock", "", 204, ""},
		{"GET /accounts/x", "", 404, ErrUnknownAccount.Error()},
		{"GET " + device, "", 200, `"pin":"1234"`},
		{"GET " + device, "", 200, `"otps":[]`},
		{"GET " + device + "/export", "", 200, `"serial":"` + c.serial},
		{"PATCH " + device, `{"ratchet":"none"}`, 204, ""},
		{"PATCH " + device, `{"second-round":"always"}`, 204, ""},
		{"GET " + device, "", 200, `"ratchet":"none","second-round":"always"`},
		{"PATCH /devices/feed", `{}`, 404, ErrUnknownDevice.Error()},
		{"PATCH " + device, `{"ratchet":"?"}`, 400, "ratchet is"},
		{"POST " + device + "/block", "", 204, ""},
		{"GET " + device, "", 200, `"blocked":true`},
		{"POST " + device + "/unblock", "", 204, ""},
		{"GET " + device, "", 200, `"blocked":false`},
		{"POST /devices", other, 204, ""},
		{"POST /devices", other, 400, "already"},
		{"GET /devices", "", 200, `"feed"`},
		{"DELETE /devices/feed", "", 204, ""},
		{"GET /devices/feed", "", 404, ErrUnknownDevice.Error()},
		{"POST /devices/feed/block", "", 404, ErrUnknownDevice.Error()},
		{"PUT /knobs", "", 405, ""},
		{"GET /nothing", "", 404, ""},
	} {
		status, text := control(t, s, step.call, step.body)
		if status != step.status || !strings.Contains(text, step.want) {
			t.Errorf("%s %s: HTTP %d %s; want %d with %s", step.call, step.body, status, text, step.status, step.want)
		}
	}
	if err := newClient(t, s).activate("777777"); err != nil {
		t.Errorf("with the added code: %v", err)
	}
}

// TestPlantedDevice moves a device to another simulator, as an import would.
func TestPlantedDevice(t *testing.T) {
	first := with(t, func(*Knobs) {})
	c := enrolled(t, first)
	mustVerify(t, first, c)
	planted, err := first.Export(c.id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(planted)
	if err != nil {
		t.Fatal(err)
	}
	second := with(t, func(*Knobs) {})
	if status, answer := control(t, second, "POST /devices", string(text)); status != 204 {
		t.Fatalf("HTTP %d %s", status, answer)
	}
	moved := *c
	moved.base = second.ProtocolURL() + "/iwcxf/MAC"
	mustVerify(t, second, &moved)
	if got := expectedState(t, second, &moved); got.StaleSyncs != 0 || got.Step != 1 {
		t.Errorf("counters %+v", got.Counters)
	}
	// Activated again, it is the same device.
	if err := moved.activate(DefaultCode); err != nil || moved.id != c.id {
		t.Errorf("id %s became %s, %v", c.id, moved.id, err)
	}
}

func TestPlantDeviceReportsEveryFault(t *testing.T) {
	s := with(t, func(*Knobs) {})
	err := s.PlantDevice(Device{Serial: "x", PIN: "1", K0: "A", Override: Override{Ratchet: "?", SecondRound: "?"}})
	for _, name := range []string{"id", "serial", "pin", "s_id", "K0", "K1", "secret", "ratchet", "second-round"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported: %v", name, err)
		}
	}
}

func TestUnknownDevice(t *testing.T) {
	s := with(t, func(*Knobs) {})
	_, errTruth := s.DeviceState("x")
	_, errExport := s.Export("x")
	for _, err := range []error{errTruth, errExport, s.Block("x"), s.Unblock("x"), s.Forget("x"), s.SetOverride("x", Override{})} {
		if !errors.Is(err, ErrUnknownDevice) {
			t.Errorf("%v, want %v", err, ErrUnknownDevice)
		}
	}
}
