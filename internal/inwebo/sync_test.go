package inwebo_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// Every finalize reads the same synchronization fields.
func TestSynchronizationFields(t *testing.T) {
	all := strings.NewReplacer("KEY", hexKey).Replace("<id>i</id><Tsync>17</Tsync><K0>KEY</K0><K1>KEY</K1><dK1>d</dK1><J>j</J><K>k</K><H>h</H>" +
		"<s_n>2</s_n><s_id>1</s_id><s_name>PSA</s_name><s_id>2</s_id><s_name>é</s_name><s_icon/><connected>1</connected><server>s</server>")
	want := inwebo.Sync{
		ID: "i", LastSync: "17", Move: must(ratchet.NewMove(hexKey, hexKey, "d")), Offline: inwebo.Offline{J: "j", K: "k", H: "h"},
		Services: []inwebo.Service{{ID: "1", Name: "PSA"}, {ID: "2", Name: "é"}}, HasServices: true,
	}
	for _, blocked := range []bool{false, true} {
		c := answering(t, strings.Replace(finalizeOf(all+"<defi>1</defi>"), "OK", map[bool]string{false: "OK", true: "OK:BLOCKED"}[blocked], 1))
		activated := must(c.ActivateFinalize(t.Context(), inwebo.Activation{}))
		done := must(c.MSFinalize(t.Context(), identity(""), nil, canaryProofs))
		otp := must(c.OTPFinalize(t.Context(), identity(""), canary, canaryProofs))
		for i, got := range []inwebo.Finalized{activated.Finalized, done, otp.Finalized} {
			if got.Blocked != blocked || !reflect.DeepEqual(got.Sync, want) {
				t.Errorf("finalize %d: blocked %t, %+v; want %t, %+v", i, got.Blocked, got.Sync, blocked, want)
			}
		}
	}
}

// A service list that does not add up replaces nothing and costs nothing. What there is of it is for a device without one.
func TestServiceLists(t *testing.T) {
	tests := map[string]struct {
		children string
		want     []inwebo.Service
		has      bool
	}{
		"absent":             {"", nil, false},
		"none":               {"<s_n>0</s_n>", nil, false},
		"none, empty":        {"<s_n>0</s_n><s_id/><s_name/>", nil, false},
		"one":                {"<s_n>1</s_n><s_id>8</s_id><s_name>P</s_name>", []inwebo.Service{{ID: "8", Name: "P"}}, true},
		"without names":      {"<s_n>2</s_n><s_id>8</s_id><s_id>9</s_id>", []inwebo.Service{{ID: "8"}, {ID: "9"}}, true},
		"a number, padded":   {"<s_n> 1\n</s_n><s_id> 8 </s_id>", []inwebo.Service{{ID: "8"}}, true},
		"the same count":     {"<s_n>1</s_n><s_n>1</s_n><s_id>8</s_id>", []inwebo.Service{{ID: "8"}}, true},
		"a name with more":   {"<s_n>1</s_n><s_id>8</s_id><s_name>P<b/></s_name>", []inwebo.Service{{ID: "8", Name: "P"}}, true},
		"no count":           {"<s_id>8</s_id>", []inwebo.Service{{ID: "8"}}, false},
		"an empty count":     {"<s_n/><s_id>8</s_id>", []inwebo.Service{{ID: "8"}}, false},
		"two counts":         {"<s_n>1</s_n><s_n>2</s_n><s_id>8</s_id>", []inwebo.Service{{ID: "8"}}, false},
		"too few":            {"<s_n>2</s_n><s_id>8</s_id>", []inwebo.Service{{ID: "8"}}, false},
		"too many":           {"<s_n>1</s_n><s_id>8</s_id><s_id>9</s_id>", []inwebo.Service{{ID: "8"}, {ID: "9"}}, false},
		"none, and one":      {"<s_n>0</s_n><s_id>8</s_id>", []inwebo.Service{{ID: "8"}}, false},
		"too few names":      {"<s_n>2</s_n><s_id>8</s_id><s_id>9</s_id><s_name>P</s_name>", []inwebo.Service{{ID: "8"}, {ID: "9"}}, false},
		"an empty one":       {"<s_n>2</s_n><s_id/><s_id>9</s_id><s_name/><s_name>P</s_name>", []inwebo.Service{{ID: "9", Name: "P"}}, false},
		"one that is no id":  {"<s_n>2</s_n><s_id>é</s_id><s_id>9</s_id>", []inwebo.Service{{ID: "9"}}, false},
		"one with elements":  {"<s_n>1</s_n><s_id>8<b/></s_id>", []inwebo.Service{{ID: "8"}}, false},
		"a count of letters": {"<s_n>c4n4ry</s_n>", nil, false},
		"a count below zero": {"<s_n>-1</s_n>", nil, false},
		"a count of a lot":   {"<s_n>65</s_n>", nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := answering(t, finalizeOf(test.children+"<dK1>d</dK1>")).MSFinalize(t.Context(), identity(""), nil, canaryProofs)
			if err != nil || got.Sync.HasServices != test.has || fmt.Sprint(got.Sync.Services) != fmt.Sprint(test.want) {
				t.Errorf("%v, %+v, %v", got.Sync.HasServices, got.Sync.Services, err)
			}
			if len(got.Sync.Move.DK1) != 1 {
				t.Errorf("the step is lost: %+v", got.Sync)
			}
		})
	}
}

// The fields of a step count together: when one of them cannot be used, the answer is kept and nothing of it is applied.
func TestAStepIsOneUnit(t *testing.T) {
	good := "<id>c4n4ry</id><K0>" + hexKey + "</K0><K1>" + hexKey + "</K1><dK1>c4n4ry</dK1><Tsync>17</Tsync><defi>1</defi>"
	for bad, detail := range map[string]string{
		"<K0>c4n4ry</K0>": "K0 cannot be used", "<K1>c4n4ry</K1>": "K1 cannot be used", "<dK1>c4n4</dK1>": "dK1 cannot be used",
		"<id>c4n4</id>": "id cannot be used", "<Tsync>18</Tsync>": "Tsync cannot be used", "<dK1/>": "dK1 cannot be used",
	} {
		assertKept(t, good+bad, detail)
	}
	for bad, detail := range map[string]string{
		"<K0>" + hexKey + "0</K0>": "K0 is not 32 hex digits", "<K0>c4n4ry</K0>": "K0 is not 32 hex digits",
		"<K1>" + strings.Repeat("z", 32) + "</K1>":         "K1 is not 32 hex digits",
		"<K1>" + strings.Repeat("é", 16) + "</K1>":         "K1 cannot be used",
		"<K1>" + hexKey[:16] + " " + hexKey[16:] + "</K1>": "K1 cannot be used",
		"<dK1>c4n4ry c4n4ry</dK1>":                         "dK1 cannot be used", "<dK1>c4n4ryé</dK1>": "dK1 cannot be used", "<dK1>c4n4ry<b/></dK1>": "dK1 cannot be used",
		"<id>c4n4ry\u2028</id>": "", "<id>\x00</id>": "id cannot be used", "<Tsync>1&nbsp;</Tsync>": "Tsync cannot be used", "<dK1>1&c4n4ry</dK1>": "dK1 cannot be used", "<dK1>1<2</dK1>": "dK1 cannot be used", "<Tsync>1&#160;2</Tsync>": "Tsync cannot be used",
	} {
		if detail != "" {
			assertKept(t, "<dK1>c4n4ry</dK1>"+bad, detail)
			continue
		}
		if _, err := answering(t, finalizeOf(bad)).MSFinalize(t.Context(), identity(""), nil, canaryProofs); err != nil {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// What changes anything is not empty, whichever field it is in.
func TestSyncIsEmpty(t *testing.T) {
	for children, empty := range map[string]bool{
		"": true, "<id/><K0/><s_n/><Tsync></Tsync><connected>1</connected>": true, "<s_n>0</s_n>": true,
		"<id>1</id>": false, "<Tsync>1</Tsync>": false, "<K0>" + hexKey + "</K0>": false, "<K1>" + hexKey + "</K1>": false,
		"<dK1>1</dK1>": false, "<J>1</J>": false, "<K>1</K>": false, "<H>1</H>": false, "<s_n>1</s_n><s_id>1</s_id>": false,
	} {
		got, err := answering(t, finalizeOf(children)).MSFinalize(t.Context(), identity(""), nil, canaryProofs)
		if err != nil || got.Sync.IsEmpty() != empty {
			t.Errorf("%s: empty %t, %v", children, got.Sync.IsEmpty(), err)
		}
	}
}

// assertKept checks that a finalize whose answer has those children keeps the answer, and whether inWebo accepted it.
func assertKept(t *testing.T, children, detail string) {
	t.Helper()
	for _, call := range []call{activateFinalize, msFinalize, otpFinalize} {
		for _, accepted := range []string{"OK", "OK:BLOCKED"} {
			answer := strings.Replace(finalizeOf(children), "OK", accepted, 1)
			err := call.make(t, answering(t, answer))
			assertUnreadable(t, err, call.exchange, answer, true, detail)
			if u, ok := errors.AsType[*inwebo.Unreadable](err); ok && u.Blocked != (accepted != "OK") {
				t.Errorf("%s: blocked %t", accepted, u.Blocked)
			}
		}
	}
}
