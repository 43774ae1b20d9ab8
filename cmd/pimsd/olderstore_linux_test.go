package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An older database that is put back by hand has forgotten a wrong PIN, and inWebo has not. Callers cannot have it block the account: one
// guess is left, of which a right PIN makes all of them again.
func TestOlderStoreLeavesOneGuess(t *testing.T) {
	t.Parallel()
	const wrong = "00000000"
	for _, tc := range []struct {
		name     string
		pins     []string
		statuses []int // of their answers
	}{
		{"wrong PINs", []string{wrong, wrong, wrong}, []int{http.StatusBadGateway, http.StatusLocked, http.StatusLocked}},
		{"a right PIN first", []string{testPIN, wrong, wrong, wrong}, []int{
			http.StatusOK, http.StatusForbidden, http.StatusForbidden, http.StatusLocked,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.environ = append(h.environ, "PIMSD_PIN_GUARD_PAUSE=0s")
			h.enroll()
			key := strings.TrimSpace(h.run("", "key", "create", "--account", testAccount))
			database := filepath.Join(h.dataDir(), "pimsd.db")
			older, err := os.ReadFile(database)
			if err != nil {
				t.Fatal(err)
			}
			s := h.serve()
			if status := h.statusOf(s.api, key, wrong); status != http.StatusForbidden {
				t.Errorf("before, a wrong PIN is answered with HTTP %d", status)
			}
			s.stop(t)
			if err := os.WriteFile(database, older, 0o600); err != nil {
				t.Fatal(err)
			}
			s = h.serve()
			const raised = "the doubt epoch was raised: each device is in doubt until inWebo accepts its next proof"
			if line := s.line(t, raised); line.Cause != "store-older" || !strings.Contains(line.Advice, "revoke again") {
				t.Errorf("the log says %+v", line)
			}
			for i, pin := range tc.pins {
				if status := h.statusOf(s.api, key, pin); status != tc.statuses[i] {
					t.Errorf("PIN %d is answered with HTTP %d, want %d", i, status, tc.statuses[i])
				}
			}
			s.stop(t)
			for _, id := range h.simulator.DeviceIDs() {
				if state, err := h.simulator.DeviceState(id); err != nil || state.Blocked {
					t.Errorf("inWebo has blocked the account, or says %v", err)
				}
			}
		})
	}
}

// statusOf asks for an OTP of the test account with a PIN, and returns the HTTP status of the answer.
func (h *harness) statusOf(api, key, pin string) int {
	h.t.Helper()
	body := strings.NewReader(`{"action":"withPIN","pinCode":"` + pin + `"}`)
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+api+"/v1/authentication/otp", body)
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/json"}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
