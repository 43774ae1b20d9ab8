package inwebosim

import (
	"encoding/json"
	"errors"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// knobEffects shows what each knob does, by its JSON name.
func knobEffects() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"ratchet":           effectOfRatchet,
		"second-round":      effectOfSecondRound,
		"lost-finalize":     TestLostFinalize,
		"check-pin":         TestUncheckedPIN,
		"check-code":        effectOfCheckCode,
		"pin-mode":          effectOfPinMode,
		"strict-parameters": effectOfStrictParameters,
		"shuffle":           effectOfShuffle,
		"empty-fields":      effectOfEmptyFields,
		"resync-every":      effectOfResync,
		"services":          effectOfServices,
		"ms-n":              effectOfSecrets,
		"ms-moves":          effectOfSecretsMove,
		"refusals-move":     effectOfRefusalsMove,
		"wrong-limit":       effectOfWrongLimit,
		"daily-otps":        effectOfDailyOTPs,
		"device-limit":      TestSameSerialIsSameDevice,
		"otp-life":          effectOfOTPLife,
		"challenge-life":    effectOfChallengeLife,
	}
}

func knobNames() (names []string) {
	for field := range reflect.TypeFor[Knobs]().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}

func TestEveryKnobHasAnEffect(t *testing.T) {
	effects := knobEffects()
	for _, name := range knobNames() {
		effect := effects[name]
		if effect == nil {
			t.Errorf("no test shows what the knob %s does", name)
			continue
		}
		t.Run(name, effect)
	}
}

func TestFlagsAreTheKnobs(t *testing.T) {
	k := DefaultKnobs()
	fs := flag.NewFlagSet("simulator", flag.ContinueOnError)
	k.Flags(fs)
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if want := slices.Sorted(slices.Values(knobNames())); !slices.Equal(names, want) {
		t.Fatalf("flags %v, knobs %v", names, want)
	}
	if err := fs.Parse(nil); err != nil || k != DefaultKnobs() {
		t.Errorf("without flags the knobs became %+v, %v", k, err)
	}
	args := strings.Fields("--ratchet K0K1 --second-round always --lost-finalize lenient --check-pin=false --otp-life 5s --ms-n 2")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	want := DefaultKnobs()
	want.Ratchet, want.SecondRound, want.LostFinalize = RatchetK0K1, SecondRoundAlways, LostFinalizeLenient
	want.CheckPIN, want.OTPLife, want.Secrets = false, Duration(5*time.Second), 2
	if k != want {
		t.Errorf("parsed %+v", k)
	}
}

func TestKnobsValidateReportsEveryFault(t *testing.T) {
	if err := DefaultKnobs().Validate(); err != nil {
		t.Fatal(err)
	}
	bad := Knobs{
		Ratchet: "K9", SecondRound: "x", LostFinalize: "x", CheckCode: "x", PinMode: "16", ResyncEvery: -1, Services: 10,
		Secrets: 5, WrongLimit: -1, DailyOTPs: -1, DeviceLimit: -1, OTPLife: 0, ChallengeLife: -1,
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	noFault := []string{"check-pin", "strict-parameters", "shuffle", "empty-fields", "ms-moves", "refusals-move"}
	for _, name := range knobNames() {
		if strings.Contains(err.Error(), name+" is") == slices.Contains(noFault, name) {
			t.Errorf("%s is missing or wrongly there: %v", name, err)
		}
	}
	for _, mode := range []string{"", "01", "-1", "x", "+1"} {
		k := DefaultKnobs()
		if k.PinMode = mode; k.Validate() == nil {
			t.Errorf("pin-mode %q accepted", mode)
		}
	}
}

func TestKnobsAsJSON(t *testing.T) {
	text, err := json.Marshal(DefaultKnobs())
	if err != nil {
		t.Fatal(err)
	}
	var back Knobs
	if err := json.Unmarshal(text, &back); err != nil || back != DefaultKnobs() || !strings.Contains(string(text), `"otp-life":"30s"`) {
		t.Errorf("%s read back as %+v, %v", text, back, err)
	}
}

// The values that are offered are taken, and no flag lacks them.
func TestKnobValues(t *testing.T) {
	t.Parallel()
	for name, values := range KnobValues() {
		for _, value := range values {
			knobs := DefaultKnobs()
			fs := flag.NewFlagSet("knobs", flag.ContinueOnError)
			knobs.Flags(fs)
			if err := errors.Join(fs.Set(name, value), knobs.Validate()); err != nil {
				t.Errorf("--%s %s: %v", name, value, err)
			}
		}
	}
}
