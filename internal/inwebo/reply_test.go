package inwebo_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/secret"
)

const hexKey = "0123456789abcdef0123456789ABCDEF"

func setupOf(children string) string {
	return "<ActionSetup><err>OK</err>" + children + "</ActionSetup>"
}

func finalizeOf(children string) string {
	return "<ActionFinalize><err>OK</err>" + children + "</ActionFinalize>"
}

func assertNotUnderstood(t *testing.T, err error, exchange inwebo.Exchange, detail string) {
	t.Helper()
	assertSilent(t, err)
	assertFault(t, err, exchange, inwebo.ErrNoAnswer, inwebo.ErrNotUnderstood, detail)
}

func TestActivateSetupReplies(t *testing.T) {
	const keys = "<Kfact>f</Kfact><Kiw>w</Kiw>"
	for mode, want := range map[string]inwebo.PINMode{
		"0": 0, "1": inwebo.PINExisting, "2": inwebo.PINNew, "3": inwebo.PINExisting | inwebo.PINNew, "8": inwebo.PINBiokey, "255": 255,
	} {
		got, err := answering(t, setupOf(keys+"<pinmode>"+mode+"</pinmode>")).ActivateSetup(t.Context(), secret.NewText("1"))
		if want := (inwebo.ActivateSetup{Kfact: "f", Kiw: "w", PINMode: want}); err != nil || got != want {
			t.Errorf("pinmode %s: %+v, %v; want %+v", mode, got, err, want)
		}
	}
	for children, detail := range map[string]string{
		"<Kiw>c4n4ry</Kiw><pinmode>1</pinmode>":           "it lacks Kfact or Kiw",
		"<Kfact>c4n4ry</Kfact><Kiw/><pinmode>1</pinmode>": "it lacks Kfact or Kiw",
		keys:                               "pinmode is missing or no number",
		keys + "<pinmode/>":                "pinmode is missing or no number",
		keys + "<pinmode>c4n4ry</pinmode>": "pinmode is missing or no number",
		keys + "<pinmode>-1</pinmode>":     "pinmode is missing or no number",
		keys + "<pinmode>256</pinmode>":    "pinmode is missing or no number",
	} {
		_, err := answering(t, setupOf(children)).ActivateSetup(t.Context(), secret.NewText("1"))
		assertNotUnderstood(t, err, inwebo.ExchangeActivateSetup, detail)
	}
}

func TestActivateFinalizeReplies(t *testing.T) {
	const challenge = "<challenge>-7</challenge>"
	tests := map[string]struct {
		children  string
		ids, keys []string
		detail    string
	}{
		"none":                  {"", nil, nil, ""},
		"an empty count":        {"<ms_n/>" + challenge, nil, nil, ""},
		"zero":                  {"<ms_n>0</ms_n>" + challenge, nil, nil, ""},
		"zero, empty elements":  {"<ms_n>0</ms_n><ms_id/><ms_key/>", nil, nil, ""},
		"one":                   {"<ms_n>1</ms_n><ms_id>a</ms_id><ms_key>x</ms_key>" + challenge, []string{"a"}, []string{"x"}, ""},
		"two, by their order":   {"<ms_id>a</ms_id><ms_id>b</ms_id><ms_key>x</ms_key><ms_key>y</ms_key><ms_n>2</ms_n>" + challenge, []string{"a", "b"}, []string{"x", "y"}, ""},
		"no challenge":          {"<ms_n>1</ms_n><ms_id>c4n4ry</ms_id><ms_key>x</ms_key>", nil, nil, "the challenge is missing"},
		"more than counted":     {"<ms_n>1</ms_n><ms_id>a</ms_id><ms_id>b</ms_id><ms_key>x</ms_key>" + challenge, nil, nil, "the number of ms_id does not fit"},
		"more keys":             {"<ms_n>1</ms_n><ms_id>a</ms_id><ms_key>x</ms_key><ms_key>y</ms_key>" + challenge, nil, nil, "the number of ms_key does not fit"},
		"fewer than counted":    {"<ms_n>2</ms_n><ms_id>a</ms_id><ms_key>x</ms_key>" + challenge, nil, nil, "the number of ms_id does not fit"},
		"no key":                {"<ms_n>1</ms_n><ms_id>a</ms_id>" + challenge, nil, nil, "the number of ms_key does not fit"},
		"counted as zero":       {"<ms_n>0</ms_n><ms_id>c4n4ry</ms_id><ms_key>x</ms_key>" + challenge, nil, nil, "the number of ms_id does not fit"},
		"not counted":           {"<ms_id>c4n4ry</ms_id><ms_key>x</ms_key>" + challenge, nil, nil, "the number of ms_id does not fit"},
		"a count that is text":  {"<ms_n>c4n4ry</ms_n>", nil, nil, "ms_n is no number from 0 to 64"},
		"a count below zero":    {"<ms_n>-1</ms_n>", nil, nil, "ms_n is no number from 0 to 64"},
		"a count that is a lot": {"<ms_n>65</ms_n>" + strings.Repeat("<ms_id>a</ms_id><ms_key>x</ms_key>", 65), nil, nil, "ms_n is no number from 0 to 64"},
		"a count beyond int":    {"<ms_n>99999999999999999999</ms_n>", nil, nil, "ms_n is no number from 0 to 64"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := answering(t, finalizeOf(test.children)).ActivateFinalize(t.Context(), inwebo.Activation{})
			if test.detail != "" {
				assertSilent(t, err)
				assertUnreadable(t, err, inwebo.ExchangeActivateFinalize, finalizeOf(test.children), true, test.detail)
				return
			}
			if err != nil || !reflect.DeepEqual(got.MSIDs, test.ids) || !reflect.DeepEqual(got.MSKeys, test.keys) {
				t.Errorf("%v, %v, %v", got.MSIDs, got.MSKeys, err)
			}
			if strings.Contains(test.children, challenge) && got.Challenge != "-7" {
				t.Errorf("challenge %q", got.Challenge)
			}
		})
	}
}

func TestOTPReplies(t *testing.T) {
	for name, children := range map[string]string{"none": "", "empty": "<challenge/>"} {
		_, err := answering(t, setupOf(children)).OTPSetup(t.Context(), identity(""), canary)
		t.Log(name)
		assertNotUnderstood(t, err, inwebo.ExchangeOTPSetup, "the challenge is missing")
	}
	tests := map[string]struct {
		children, defi string
		second         bool
	}{
		"an OTP":                {"<defi>-12</defi><J/>", "-12", false},
		"a J asks for a second": {"<defi>12</defi><J>0</J>", "12", true},
		"a J without a defi":    {"<J>9</J>", "", true},
		"a J with two values":   {"<defi>12</defi><J>1</J><J>2</J>", "12", true},
		"a J with children":     {"<defi>12</defi><J><x/></J>", "12", true},
		"a J of blanks":         {"<defi>12</defi><J> \n </J><J/>", "12", false},
		"a step without a defi": {"<dK1>c4n4ry</dK1>", "", false}, // the step counts, whatever else is missing
	}
	for name, test := range tests {
		got, err := answering(t, finalizeOf(test.children)).OTPFinalize(t.Context(), identity(""), canary, canaryProofs)
		if err != nil || got.Defi != test.defi || got.WantsSecondRound != test.second {
			t.Errorf("%s: defi %q, second %t, %v", name, got.Defi, got.WantsSecondRound, err)
		}
	}
}
