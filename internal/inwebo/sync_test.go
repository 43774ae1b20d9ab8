package inwebo_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// Every finalize reads the same synchronisation fields.
func TestSynchronisationFields(t *testing.T) {
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

func TestServiceLists(t *testing.T) {
	tests := map[string]struct {
		children string
		want     []inwebo.Service
		has      bool
		detail   string
	}{
		"absent":           {"", nil, false, ""},
		"an empty count":   {"<s_n/><s_id>1</s_id>", nil, false, ""},
		"none":             {"<s_n>0</s_n>", []inwebo.Service{}, true, ""},
		"none, empty":      {"<s_n>0</s_n><s_id/><s_name/>", []inwebo.Service{}, true, ""},
		"one":              {"<s_n>1</s_n><s_id>8</s_id><s_name>P</s_name>", []inwebo.Service{{ID: "8", Name: "P"}}, true, ""},
		"without names":    {"<s_n>2</s_n><s_id>8</s_id><s_id>9</s_id>", []inwebo.Service{{ID: "8"}, {ID: "9"}}, true, ""},
		"too few":          {"<s_n>2</s_n><s_id>c4n4ry</s_id>", nil, false, ""},
		"too many":         {"<s_n>1</s_n><s_id>8</s_id><s_id>9</s_id>", nil, false, ""},
		"too few names":    {"<s_n>2</s_n><s_id>8</s_id><s_id>9</s_id><s_name>c4n4ry</s_name>", nil, false, ""},
		"no number":        {"<s_n>c4n4ry</s_n>", nil, false, ""},
		"a number, padded": {"<s_n> 1</s_n><s_id>8</s_id>", nil, false, ""},
		"a K0 too short":   {"<K0>c4n4ry</K0>", nil, false, "K0 is not 32 hex digits"},
		"a K1 of letters":  {"<K1>" + strings.Repeat("z", 32) + "</K1>", nil, false, "K1 is not 32 hex digits"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := answering(t, finalizeOf(test.children)).MSFinalize(t.Context(), identity(""), nil, canaryProofs)
			if test.detail != "" {
				assertSilent(t, err)
				assertUnreadable(t, err, inwebo.ExchangeMSFinalize, finalizeOf(test.children), true, test.detail)
				return
			}
			if err != nil || got.Sync.HasServices != test.has || fmt.Sprint(got.Sync.Services) != fmt.Sprint(test.want) {
				t.Errorf("%v, %+v, %v", got.Sync.HasServices, got.Sync.Services, err)
			}
		})
	}
}

// What changes anything is not empty, whichever field it is in.
func TestSyncIsEmpty(t *testing.T) {
	for children, empty := range map[string]bool{
		"": true, "<id/><K0/><s_n/><Tsync></Tsync><connected>1</connected>": true,
		"<id>1</id>": false, "<Tsync>1</Tsync>": false, "<K0>" + hexKey + "</K0>": false, "<K1>" + hexKey + "</K1>": false,
		"<dK1>1</dK1>": false, "<J>1</J>": false, "<K>1</K>": false, "<H>1</H>": false, "<s_n>0</s_n>": false,
	} {
		got, err := answering(t, finalizeOf(children)).MSFinalize(t.Context(), identity(""), nil, canaryProofs)
		if err != nil || got.Sync.IsEmpty() != empty {
			t.Errorf("%s: empty %t, %v", children, got.Sync.IsEmpty(), err)
		}
	}
}
