package inwebosim

import (
	"flag"
	"strconv"
	"time"
)

// Flags registers every knob on fs under its JSON name, with k as it represents the defaults. What is
// parsed goes into k; call [Knobs.Validate] afterwards.
func (k *Knobs) Flags(fs *flag.FlagSet) {
	text := func(p *string, name, usage string) { fs.StringVar(p, name, *p, usage) }
	yesNo := func(p *bool, name, usage string) { fs.BoolVar(p, name, *p, usage) }
	number := func(p *int, name, usage string) { fs.IntVar(p, name, *p, usage) }

	text((*string)(&k.Ratchet), "ratchet", "keys that an otp finalize moves: "+join(ratchets()))
	text((*string)(&k.SecondRound), "second-round", "when an otp finalize carries J: "+join(secondRounds()))
	text((*string)(&k.LostFinalize), "lost-finalize", "answer to keys from before the last movement: "+join(lostFinalizes()))
	yesNo(&k.CheckPIN, "check-pin", "compare R2, the proof that carries the PIN")
	text((*string)(&k.CheckCode), "check-code", "which activate request finds a wrong SMS code: "+join(codeChecks()))
	text(&k.PinMode, "pin-mode", "pinmode of the activate setup: auto, or a bit mask 0 to 15")
	yesNo(&k.StrictParameters, "strict-parameters", "refuse requests that lack or misspell a parameter")
	yesNo(&k.Shuffle, "shuffle", "send elements in random order")
	yesNo(&k.EmptyFields, "empty-fields", "add empty synchronization fields to finalize answers")
	number(&k.ResyncEvery, "resync-every", "service list and Tsync with each nth otp finalize, 0 never")
	number(&k.Services, "services", "services of devices activated from now on, 1 to 9")
	number(&k.Secrets, "ms-n", "ms_n of devices activated from now on, 0 to 4")
	yesNo(&k.SecretsMove, "ms-moves", "move the keys in the ms answer too")
	yesNo(&k.RefusalsMove, "refusals-move", "move K1 in an otp finalize that is refused for its PIN too")
	number(&k.WrongLimit, "wrong-limit", "wrong proofs in a row that block a device, 0 never")
	number(&k.DailyOTPs, "daily-otps", "passwords of a device in 24 hours, 0 any number")
	number(&k.DeviceLimit, "device-limit", "devices of an account, 0 any number")
	fs.TextVar(&k.OTPLife, "otp-life", k.OTPLife, "how long an issued password verifies")
	fs.TextVar(&k.ChallengeLife, "challenge-life", k.ChallengeLife, "how long a challenge waits for its finalize, 0 for ever")
}

// KnobValues returns, by the names of their flags, the values of the knobs that have few.
func KnobValues() map[string][]string {
	modes := []string{PinModeAuto}
	for mask := range pinModes {
		modes = append(modes, strconv.Itoa(mask))
	}
	return map[string][]string{
		"ratchet": texts(ratchets()), "second-round": texts(secondRounds()), "lost-finalize": texts(lostFinalizes()),
		"check-code": texts(codeChecks()), "pin-mode": modes,
	}
}

// pinModes is the number of bit masks that are a pinmode.
const pinModes = 16

// Duration is a [time.Duration] that is written as text, "250ms", in JSON and on the command line.
type Duration time.Duration

// MarshalText writes d as [time.Duration.String] does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what [time.ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}
