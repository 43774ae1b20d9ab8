package inwebo_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
)

// refusals are the names of docs/protocol.md §7 behind "NOK", and some that no one knows.
var refusals = map[string]inwebo.Reason{
	":CODE":          inwebo.ReasonCode,
	":SN":            inwebo.ReasonSyntax,
	":ACCESS":        inwebo.ReasonAccess,
	":VERSION":       inwebo.ReasonVersion,
	":NOK_BLOCKED":   inwebo.ReasonBlocked,
	":BLOCKED":       inwebo.ReasonBlocked,
	":STATE":         inwebo.ReasonState,
	":NODEVICE":      inwebo.ReasonNoDevice,
	":NOCA":          inwebo.ReasonNotActivated,
	":NOSRV":         inwebo.ReasonNoService,
	":PINREUSED":     inwebo.ReasonPINReused,
	":SYNCHROFAILED": inwebo.ReasonSynchroFailed,
	":FORBIDDEN":     inwebo.ReasonForbidden,
	":PINREFUSED":    inwebo.ReasonPINRefused,
	":TIMEOUT":       inwebo.ReasonTimeout,
	":MAXNBTOOLS":    inwebo.ReasonTooManyTools,
	":BIOKEY":        inwebo.ReasonBiokey,

	":SAT": inwebo.ReasonUnknown, ":URL": inwebo.ReasonUnknown, ":ERR1": inwebo.ReasonUnknown, ":NOPUSH": inwebo.ReasonUnknown,
	"": inwebo.ReasonUnknown, ":": inwebo.ReasonUnknown, ":c4n4ry": inwebo.ReasonUnknown, ":access": inwebo.ReasonUnknown,
	":ACCESS:c4n4ry": inwebo.ReasonUnknown, ": ACCESS ": inwebo.ReasonAccess, ":OK": inwebo.ReasonUnknown, //nolint:gocritic // blanks are what is tested
	":NOK_ACCESS": inwebo.ReasonUnknown, ":" + string(inwebo.ReasonUnknown): inwebo.ReasonUnknown,
}

// withErr is the call's good answer, with another err.
func (c call) withErr(err string) string {
	return strings.Replace(c.answer, "<err>OK</err>", "<err>"+err+"</err>", 1)
}

func TestEveryRefusalOfEveryExchange(t *testing.T) {
	for name, want := range refusals {
		t.Run("NOK"+name, func(t *testing.T) {
			for _, call := range calls {
				err := call.make(t, answering(t, call.withErr("NOK"+name)))
				refusal, ok := errors.AsType[*inwebo.Refusal](err)
				if !ok || refusal.Exchange != call.exchange || refusal.Reason != want {
					t.Fatalf("%s: %v; want a refusal because of %s", call.exchange, err, want)
				}
				if want := string(call.exchange) + ": inWebo refused: " + string(want); err.Error() != want {
					t.Errorf("%q, want %q", err, want)
				}
				for _, kind := range []error{inwebo.ErrNeverSent, inwebo.ErrNoAnswer, inwebo.ErrNetwork, inwebo.ErrNotUnderstood} {
					if errors.Is(err, kind) {
						t.Errorf("a refusal is %q", kind)
					}
				}
			}
		})
	}
}

func TestWhatIsNeitherOKNorNOK(t *testing.T) {
	for _, text := range []string{"", "ok", "O K", "OKc4n4ry", "c4n4ry:OK", "nok:ACCESS", "NOKACCESS", "ACCESS", "0", "KO"} {
		for _, call := range calls {
			err := call.make(t, answering(t, call.withErr(text)))
			if call.isSetup() {
				assertFault(t, err, call.exchange, inwebo.ErrNoAnswer, inwebo.ErrNotUnderstood, noErr)
				continue
			}
			assertUnreadable(t, err, call.exchange, call.withErr(text), false, noErr)
		}
	}
}

// Whatever word follows OK, inWebo did what was asked.
func TestWordsBehindOK(t *testing.T) {
	for _, text := range []string{"OK:BLOCKED", "OK : BLOCKED", "OK:", "OK:c4n4ry", "OK:NOK"} {
		for _, call := range calls {
			if err := call.make(t, answering(t, call.withErr(text))); err != nil {
				t.Errorf("%s, %s: %v", text, call.exchange, err)
			}
		}
	}
}

// A refusal returns the state that it carries, and prints none of it. Where something of the step cannot be used, it
// returns nothing of the step and the whole answer.
func TestRefusalsCarryState(t *testing.T) {
	const children = "<err>NOK:FORBIDDEN</err><id>c4n4ry</id><K1>" + hexKey + "</K1><dK1>c4n4ry-d</dK1><H>c4n4ry-h</H>" +
		"<s_n>1</s_n><s_id>c4n4ry</s_id><Tsync>c4n4ry-t</Tsync><newversion>c4n4ry</newversion>"
	want := inwebo.Sync{
		ID: canary, LastSync: canary + "-t", Move: must(ratchet.NewMove("", hexKey, canary+"-d")), Offline: inwebo.Offline{H: canary + "-h"},
		Services: []inwebo.Service{{ID: canary}}, HasServices: true,
	}
	for _, call := range calls {
		root, _, _ := strings.Cut(call.answer[1:], ">")
		document := func(children string) string { return "<" + root + ">" + children + "</" + root + ">" }

		err := call.make(t, answering(t, document(children)))
		if refusal, ok := errors.AsType[*inwebo.Refusal](err); !ok || !reflect.DeepEqual(refusal.Sync, want) || !refusal.Unusable.IsEmpty() {
			t.Errorf("%s: %v; want the state with it", call.exchange, err)
		}

		broken := document("<err>NOK:ACCESS</err><id>c4n4ry</id><K0>c4n4ry</K0><dK1>c4n4ry</dK1><Tsync>c4n4ry</Tsync>")
		err = call.make(t, answering(t, broken))
		refusal, ok := errors.AsType[*inwebo.Refusal](err)
		if !ok || refusal.Reason != inwebo.ReasonAccess || !refusal.Sync.IsEmpty() || string(refusal.Unusable.Reveal()) != broken {
			t.Errorf("%s: %#v; want a refusal with its answer and without a step", call.exchange, err)
		}
	}
}
