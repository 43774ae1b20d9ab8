package inwebosim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ratchet says which keys an otp finalize moves, and how its answer tells the client (section 4).
type Ratchet string

// The movements. In the last the fields come together, and dK1 applies to the K1 that came with it.
const (
	RatchetNone    Ratchet = "none"
	RatchetDK1     Ratchet = "dK1"
	RatchetK1      Ratchet = "K1"
	RatchetK0K1    Ratchet = "K0K1"
	RatchetK0K1dK1 Ratchet = "K0K1dK1"
)

// SecondRound says when an otp finalize carries J and so asks for a second round (section 6).
type SecondRound string

// With always and every-other the first round's defi makes no password that verifies. With stubborn
// every answer carries J, the second round's too, and every defi makes one.
const (
	SecondRoundNever      SecondRound = "never"
	SecondRoundAlways     SecondRound = "always"
	SecondRoundEveryOther SecondRound = "every-other"
	SecondRoundStubborn   SecondRound = "stubborn"
)

// LostFinalize says how proofs made with the keys from before the last movement are answered.
type LostFinalize string

// Strict answers NOK:ACCESS and counts a wrong proof; forbidden answers NOK:FORBIDDEN and counts none;
// lenient accepts once, moves nothing and sends the current keys again.
const (
	LostFinalizeStrict    LostFinalize = "strict"
	LostFinalizeForbidden LostFinalize = "forbidden"
	LostFinalizeLenient   LostFinalize = "lenient"
)

// CodeCheck says which activate request finds out that an SMS code is wrong.
type CodeCheck string

// Finalize is where the logs show NOK:CODE.
const (
	CodeCheckFinalize CodeCheck = "finalize"
	CodeCheckSetup    CodeCheck = "setup"
)

// PinModeAuto answers 1 for an account that has a PIN, 2 for one that has none.
const PinModeAuto = "auto"

// Knobs are how the simulated service behaves. A JSON name is also the name of the command-line flag.
// The zero value is not usable: start from [DefaultKnobs].
type Knobs struct {
	// Ratchet exposes a client that skips, reorders or forgets a synchronization field.
	Ratchet Ratchet `json:"ratchet"`
	// SecondRound exposes a client that ignores J, uses the first round's defi, or follows J for ever.
	SecondRound SecondRound `json:"second-round"`
	// LostFinalize exposes a client that takes a lost answer for a wrong PIN, or cannot catch up.
	LostFinalize LostFinalize `json:"lost-finalize"`
	// CheckPIN is whether R2 is compared; false exposes a client that lets a wrong PIN spoil its keys.
	CheckPIN bool `json:"check-pin"`
	// CheckCode at setup exposes a client that reads NOK:CODE in a finalize only.
	CheckCode CodeCheck `json:"check-code"`
	// PinMode is what the activate setup answers: auto, or a bit mask 0–15 that exposes a client that compares instead of masking.
	PinMode string `json:"pin-mode"`
	// StrictParameters refuses requests that lack a parameter of section 1 or misspell one (NOK:SN).
	StrictParameters bool `json:"strict-parameters"`
	// Shuffle sends elements in random order; it exposes a client that reads by position.
	Shuffle bool `json:"shuffle"`
	// EmptyFields adds empty K0, K1, dK1, J, s_n, Tsync; it exposes a client that takes an empty field for a value.
	EmptyFields bool `json:"empty-fields"`
	// ResyncEvery sends service list and Tsync with each nth accepted otp finalize, 0 never; it exposes a
	// client that reads them at activation only.
	ResyncEvery int `json:"resync-every"`
	// Services is s_n for devices activated from now on, 1–9; above 1 it exposes a client that reads no lists.
	Services int `json:"services"`
	// Secrets is ms_n for devices activated from now on, 0–4; all but 1 expose a client that assumes 1.
	Secrets int `json:"ms-n"`
	// SecretsMove moves the keys in the ms answer too; it exposes a client that stores the state before ms.
	SecretsMove bool `json:"ms-moves"`
	// RefusalsMove moves K1 in an otp finalize that is refused for its PIN too, by a dK1 in the refusal; it
	// exposes a client that ignores what a refusal carries.
	RefusalsMove bool `json:"refusals-move"`
	// WrongLimit is how many wrong proofs in a row block a device, 0 never; it exposes a client that retries a refusal.
	WrongLimit int `json:"wrong-limit"`
	// DailyOTPs is how many passwords a device gets in 24 h, 0 any number (then NOK:FORBIDDEN); it exposes a wasteful client.
	DailyOTPs int `json:"daily-otps"`
	// DeviceLimit is how many devices an account may have, 0 any number (then NOK:MAXNBTOOLS); it exposes a
	// client that draws a new serial for each activation.
	DeviceLimit int `json:"device-limit"`
	// OTPLife is how long an issued password verifies; a short one exposes a client that sits on it.
	OTPLife Duration `json:"otp-life"`
	// ChallengeLife is how long a challenge waits for its finalize, 0 for ever (then NOK:TIMEOUT); it
	// exposes a client that is slow, or takes TIMEOUT for a refusal.
	ChallengeLife Duration `json:"challenge-life"`
}

// DefaultKnobs is the service as docs/protocol.md thinks it most likely is, K1 moved by dK1.
func DefaultKnobs() Knobs {
	return Knobs{
		Ratchet: RatchetDK1, SecondRound: SecondRoundNever, LostFinalize: LostFinalizeStrict,
		CheckPIN: true, CheckCode: CodeCheckFinalize, PinMode: PinModeAuto,
		StrictParameters: true, Shuffle: true, Services: 1, Secrets: 1,
		WrongLimit: 3, OTPLife: Duration(30 * time.Second),
	}
}

// Validate reports every knob that is out of range, each by its JSON name; nil when all are well.
func (k Knobs) Validate() error {
	return errors.Join(
		oneOf("ratchet", k.Ratchet, ratchets()),
		oneOf("second-round", k.SecondRound, secondRounds()),
		oneOf("lost-finalize", k.LostFinalize, lostFinalizes()),
		oneOf("check-code", k.CheckCode, codeChecks()),
		validPinMode(k.PinMode),
		inRange("resync-every", k.ResyncEvery, 0, 1<<20),
		inRange("services", k.Services, 1, 9),
		inRange("ms-n", k.Secrets, 0, maxSecrets),
		inRange("wrong-limit", k.WrongLimit, 0, 1<<20),
		inRange("daily-otps", k.DailyOTPs, 0, 1<<20),
		inRange("device-limit", k.DeviceLimit, 0, 1<<30),
		positive("otp-life", k.OTPLife, false),
		positive("challenge-life", k.ChallengeLife, true),
	)
}

func ratchets() []Ratchet {
	return []Ratchet{RatchetNone, RatchetDK1, RatchetK1, RatchetK0K1, RatchetK0K1dK1}
}

func secondRounds() []SecondRound {
	return []SecondRound{SecondRoundNever, SecondRoundAlways, SecondRoundEveryOther, SecondRoundStubborn}
}

func lostFinalizes() []LostFinalize {
	return []LostFinalize{LostFinalizeStrict, LostFinalizeForbidden, LostFinalizeLenient}
}

func codeChecks() []CodeCheck { return []CodeCheck{CodeCheckFinalize, CodeCheckSetup} }

func oneOf[T ~string](name string, value T, allowed []T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s is %q, but must be one of %s", name, value, join(allowed))
}

func join[T ~string](values []T) string { return strings.Join(texts(values), ", ") }

func texts[T ~string](values []T) (texts []string) {
	for _, v := range values {
		texts = append(texts, string(v))
	}
	return texts
}

func inRange(name string, value, low, high int) error {
	if value >= low && value <= high {
		return nil
	}
	return fmt.Errorf("%s is %d, but must be %d to %d", name, value, low, high)
}

func positive(name string, value Duration, zeroToo bool) error {
	if value > 0 || value == 0 && zeroToo {
		return nil
	}
	return fmt.Errorf("%s is %s, but must be a positive duration such as 30s", name, time.Duration(value))
}

func validPinMode(mode string) error {
	mask, err := strconv.ParseUint(mode, 10, 4)
	if mode == PinModeAuto || err == nil && strconv.FormatUint(mask, 10) == mode {
		return nil
	}
	return fmt.Errorf("pin-mode is %q, but must be %s or a bit mask 0 to 15", mode, PinModeAuto)
}
