package ratchet_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

const serial = ratchet.Serial("0123456789abcdef/_/00112233445566778899aabbccddeeff")

func key(fill string) string { return strings.Repeat(fill, ratchet.KeyDigits) }

func mustMove(t rapid.TB, k0, k1, dK1 string) ratchet.Move {
	t.Helper()
	move, err := ratchet.NewMove(k0, k1, dK1)
	if err != nil {
		t.Fatal(err)
	}
	return move
}

// A wrong PIN that inWebo did not check opens freshly sent keys wrongly; the right PIN must still find them.
func TestUnprovenKeysSurviveAWrongPIN(t *testing.T) {
	right := ratchet.NewKma(secret.NewText("1234"), serial)
	wrong := ratchet.NewKma(secret.NewText("9999"), serial)
	state := ratchet.State{}.Told(mustMove(t, key("a"), key("b"), ""))
	want := state.Open(right)

	afterWrong := state.Told(mustMove(t, "", "", "")) // the wrong PIN was refused: nothing was accepted
	if got := afterWrong.Open(right); !got.K0.Equal(want.K0) || !got.K1.Equal(want.K1) {
		t.Error("a refused wrong PIN changed the keys")
	}
	if got := state.Open(wrong); got.K1.Equal(want.K1) {
		t.Error("the wrong PIN opened the right key")
	}
}

// Should inWebo not check the PIN, an accepted proof with a wrong one, answered with new keys, leaves them to the right one.
func TestAWrongPINThatIsAcceptedCostsNoKeys(t *testing.T) {
	right := ratchet.NewKma(secret.NewText("1234"), serial)
	wrong := ratchet.NewKma(secret.NewText("9999"), serial)
	fresh := ratchet.State{}.Told(mustMove(t, key("a"), key("b"), ""))
	proven := fresh.Accepted(fresh.Open(right), mustMove(t, "", "", key("1")))

	move := mustMove(t, key("c"), key("d"), key("2"))
	want := proven.Accepted(proven.Open(right), move).Open(right)
	got := proven.Accepted(proven.Open(wrong), move).Open(right)
	if !got.K0.Equal(want.K0) || !got.K1.Equal(want.K1) {
		t.Error("the right PIN no longer opens the keys")
	}
}

// Whatever the moves and wherever proofs were accepted between them, the keys are those of a device that applied each
// move at once with the right PIN.
func TestMovesKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kma := ratchet.NewKma(secret.NewText("1234"), serial)
		hexKey := rapid.StringMatching(`([0-9a-f]{32})?`)
		lazy, eager := ratchet.State{}, ratchet.State{}
		for range rapid.IntRange(1, 12).Draw(t, "moves") {
			move := mustMove(t, hexKey.Draw(t, "K0"), hexKey.Draw(t, "K1"), rapid.StringMatching(`([0-9a-f]{32})?`).Draw(t, "dK1"))
			eager = eager.Accepted(eager.Open(kma), move)
			if rapid.Bool().Draw(t, "accepted") {
				lazy = lazy.Accepted(lazy.Open(kma), move)
			} else {
				lazy = lazy.Told(move)
			}
		}
		got, want := lazy.Open(kma), eager.Open(kma)
		if !got.K0.Equal(want.K0) || !got.K1.Equal(want.K1) {
			t.Fatal("the order of the moves was lost")
		}
	})
}

// Steps of a K1 that is known are taken at once: however many refusals carry one, the state does not grow. Those of a K1
// that waits for a PIN are kept up to a bound.
func TestStepsDoNotPileUp(t *testing.T) {
	kma := ratchet.NewKma(secret.NewText("1234"), serial)
	step := mustMove(t, "", "", key("7"))
	for name, row := range map[string]struct {
		first ratchet.Move
		kept  int
	}{
		"K1 is known":         {mustMove(t, key("a"), "", ""), 0},
		"K1 waits for a PIN":  {mustMove(t, "", key("b"), ""), 128},
		"both wait for a PIN": {mustMove(t, key("a"), key("b"), key("c")), 128},
	} {
		state := ratchet.State{Keys: ratchet.Keys{K0: secret.NewText(key("0")), K1: secret.NewText(key("1"))}}.Told(row.first)
		told := 0
		want := state.Open(kma).K1
		for told < 1000 && state.HasRoomFor(step) {
			state = state.Told(step)
			told++
		}
		for range told {
			want = ratchet.Keys{K1: want}.Stepped(step.DK1).K1
		}
		if len(state.Unproven.DK1) != row.kept || row.kept == 0 && told < 1000 || !state.Open(kma).K1.Equal(want) {
			t.Errorf("%s: after %d steps %d are kept", name, told, len(state.Unproven.DK1))
		}
	}
	long := mustMove(t, "", key("b"), strings.Repeat("x", 5000))
	if state := (ratchet.State{}); !state.HasRoomFor(long) || !state.Told(long).HasRoomFor(mustMove(t, "", key("b"), "")) {
		t.Error("a single answer is refused")
	}
}

// Told never writes into the steps of the state that it came from.
func TestToldSharesNothing(t *testing.T) {
	kma := ratchet.NewKma(secret.NewText("1234"), serial)
	base := ratchet.State{}
	for range 3 {
		base = base.Told(mustMove(t, "", "", key("1")))
	}
	left := base.Told(mustMove(t, "", "", key("2")))
	want := left.Open(kma).K1
	base.Told(mustMove(t, "", "", key("3")))
	if !left.Open(kma).K1.Equal(want) {
		t.Error("two states share their steps")
	}
}

func TestNewMoveRefusesWhatIsNoKey(t *testing.T) {
	for _, k := range []string{"a", key("a") + "a", key("a")[1:], key("g"), strings.Repeat("é", 16)} {
		if _, err := ratchet.NewMove(k, "", ""); err == nil {
			t.Errorf("K0 %q is taken", k)
		}
		if _, err := ratchet.NewMove("", k, ""); err == nil {
			t.Errorf("K1 %q is taken", k)
		}
	}
}

func TestAMoveIsEmptyOrNot(t *testing.T) {
	if !mustMove(t, "", "", "").IsEmpty() {
		t.Error("the zero move is not empty")
	}
	for name, move := range map[string]ratchet.Move{
		"K0": mustMove(t, key("a"), "", ""), "K1": mustMove(t, "", key("a"), ""), "dK1": mustMove(t, "", "", key("a")),
	} {
		if move.IsEmpty() {
			t.Errorf("a move of %s is empty", name)
		}
	}
}

// A PIN is needed while one of the keys is as it was sent. A step alone needs none.
func TestNeedsPIN(t *testing.T) {
	known := ratchet.State{Keys: ratchet.Keys{K0: secret.NewText(key("0")), K1: secret.NewText(key("1"))}}
	for name, row := range map[string]struct {
		move ratchet.Move
		want bool
	}{
		"nothing": {mustMove(t, "", "", ""), false},
		"K0":      {mustMove(t, key("a"), "", ""), true},
		"K1":      {mustMove(t, "", key("a"), ""), true},
		"dK1":     {mustMove(t, "", "", key("a")), false},
	} {
		if got := known.Told(row.move).NeedsPIN(); got != row.want {
			t.Errorf("after a move of %s: %v, want %v", name, got, row.want)
		}
	}
}

// FuzzNewMove: refuse, or take keys that decrypt to 32 lower-hex digits.
func FuzzNewMove(f *testing.F) {
	f.Add(key("a"), key("F"), "x")
	kma := ratchet.NewKma(secret.NewText("1234"), serial)
	f.Fuzz(func(t *testing.T, k0, k1, dK1 string) {
		move, err := ratchet.NewMove(k0, k1, dK1)
		if err != nil {
			return
		}
		opened := ratchet.State{}.Told(move).Open(kma)
		for _, k := range []string{opened.K0.Reveal(), opened.K1.Reveal()} {
			if k != "" && (len(k) != ratchet.KeyDigits || strings.Trim(k, "0123456789abcdef") != "") {
				t.Errorf("a key is %q", k)
			}
		}
	})
}

// decode is the inverse of the OTP's number writing: least significant first, a = 0.
func decode(t testing.TB, otp string) (n uint64) {
	t.Helper()
	for i := len(otp) - 1; i >= 0; i-- {
		digit := strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789", otp[i])
		if digit < 0 {
			t.Fatalf("%q has a letter outside the alphabet", otp)
		}
		n = n*36 + uint64(digit)
	}
	return n
}

// FuzzOTP: 1 to 8 of the alphabet, no padding, below 2^38.
func FuzzOTP(f *testing.F) {
	f.Add("", "", "")
	f.Add(key("0"), "-48902903", key("1"))
	f.Fuzz(func(t *testing.T, k1, defi, secval string) {
		otp := ratchet.OTP(secret.NewText(k1), defi, secret.NewText(secval)).Reveal()
		if len(otp) < 1 || len(otp) > 8 || len(otp) > 1 && strings.HasSuffix(otp, "a") {
			t.Errorf("OTP %q", otp)
		}
		if n := decode(t, otp); n >= 1<<38 {
			t.Errorf("OTP %q is the number %d", otp, n)
		}
	})
}

// FuzzBase36: what is written is read back.
func FuzzBase36(f *testing.F) {
	f.Add(uint64(0))
	f.Add(uint64(1<<38 - 1))
	f.Fuzz(func(t *testing.T, n uint64) {
		n &= 1<<38 - 1
		if got := decode(t, ratchet.Base36(n)); got != n {
			t.Errorf("%d is written %q, read back %d", n, ratchet.Base36(n), got)
		}
	})
}

func TestOTPOfZeroIsA(t *testing.T) {
	if got := ratchet.Base36(0); got != "a" {
		t.Errorf("zero is %q", got)
	}
}

// FuzzParsePublicKey: refuse, or a key that encrypts.
func FuzzParsePublicKey(f *testing.F) {
	f.Add(strings.Repeat("ff", 128))
	f.Add(strings.Repeat("00", 128))
	f.Fuzz(func(t *testing.T, modulus string) {
		k, err := ratchet.ParsePublicKey(modulus)
		if err != nil {
			return
		}
		if _, err := k.Unseal(binary.BigEndian.AppendUint64(make([]byte, 120), 2)); err == nil {
			t.Error("the number 2 unseals")
		}
	})
}

func TestSerial(t *testing.T) {
	if _, err := ratchet.NewSerial("a;b", bytesReader(make([]byte, 16))); err == nil {
		t.Error("a device id with a semicolon is taken")
	}
	if _, err := ratchet.NewSerial("a", bytesReader(make([]byte, 15))); err == nil {
		t.Error("a serial was made of too little randomness")
	}
	for _, alea := range []string{"", key("a")[1:], key("a") + "aa", key("A"), key("g")} {
		if _, err := ratchet.ParseSerial("a", alea); err == nil {
			t.Errorf("the alea %q is taken", alea)
		}
	}
	if got, err := ratchet.ParseSerial("a", key("a")); err != nil || got != ratchet.Serial("a/_/"+key("a")) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ratchet.NewSecret(bytesReader(make([]byte, 15))); err == nil {
		t.Error("a secret was made of too little randomness")
	}
}

// The secret of a device that came without its PIN stays closed, whatever is told, saved and restored, until a PIN was
// accepted; then it is opened once, and another PIN changes it no more.
func TestAnUnopenedSecret(t *testing.T) {
	right, wrong := ratchet.NewKma(secret.NewText("1234"), serial), ratchet.NewKma(secret.NewText("9999"), serial)
	drawn := secret.NewBytes([]byte("sixteen bytes!!!"))
	state := ratchet.State{Unopened: right.Secval(drawn)}.Told(mustMove(t, "", "", key("1")))
	state, err := ratchet.Restore(*state.Save())
	if err != nil || !state.Unopened.Equal(right.Secval(drawn)) || !state.Secret.IsEmpty() {
		t.Fatalf("it does not stay closed: %v", err)
	}
	if !state.Secval(right).Equal(right.Secval(drawn)) || !state.Secval(wrong).Equal(right.Secval(drawn)) {
		t.Error("before it is opened, OTPs are made of another secval than the one that came")
	}
	opened := state.Opened(right)
	if !opened.Secval(right).Equal(right.Secval(drawn)) || opened.Secval(wrong).Equal(right.Secval(drawn)) {
		t.Error("after it was opened, the PIN does not decide")
	}
	if string(opened.Secret.Reveal()) != string(drawn.Reveal()) || !opened.Unopened.IsEmpty() {
		t.Error("the right PIN opens another secret")
	}
	if again := opened.Opened(wrong); string(again.Secret.Reveal()) != string(drawn.Reveal()) {
		t.Error("an opened secret is opened again")
	}
	if _, err := ratchet.Restore(ratchet.Saved{Unopened: "12"}); err == nil {
		t.Error("a secval of one byte is restored")
	}
}

func TestRestoreRefusesWhatIsNoSecret(t *testing.T) {
	for _, text := range []string{"zz", "12", key("a")[2:], key("a") + "aa"} {
		if _, err := ratchet.Restore(ratchet.Saved{Secret: text}); err == nil {
			t.Errorf("the secret %q is restored", text)
		}
	}
	state, err := ratchet.Restore(ratchet.Saved{Secret: key("a")})
	if err != nil || state.Save().Secret != key("a") {
		t.Errorf("a secret of 16 bytes: %v", err)
	}
}
