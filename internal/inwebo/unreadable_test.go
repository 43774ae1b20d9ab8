package inwebo_test

import (
	"errors"
	"net"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

var finalizes = []inwebo.Exchange{inwebo.ExchangeActivateFinalize, inwebo.ExchangeMSFinalize, inwebo.ExchangeOTPFinalize}

// A kept answer that this version can read says what inWebo did, and returns the step.
func TestReadAnswer(t *testing.T) {
	step := inwebo.Sync{ID: "i", LastSync: "17", Move: must(ratchet.NewMove(hexKey, hexKey, "d"))}
	fields := "<id>i</id><K0>" + hexKey + "</K0><K1>" + hexKey + "</K1><dK1>d</dK1><Tsync>17</Tsync>"
	tests := map[string]struct {
		err  string
		want inwebo.Reading
	}{
		"OK":      {"OK", inwebo.Reading{Accepted: true, Sync: step}},
		"blocked": {"OK:BLOCKED", inwebo.Reading{Accepted: true, Blocked: true, Sync: step}},
		"refused": {"NOK:SYNCHROFAILED", inwebo.Reading{Reason: inwebo.ReasonSynchroFailed, Sync: step}},
	}
	for name, test := range tests {
		for _, exchange := range finalizes {
			answer := secret.NewBytes([]byte(strings.Replace(finalizeOf(fields), "OK", test.err, 1)))
			if got, err := inwebo.ReadAnswer(exchange, answer); err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s, %s: %+v, %v; want %+v", name, exchange, got, err, test.want)
			}
		}
	}
}

// What could not be read stays unreadable, and its error prints nothing of it.
func TestReadAnswerOfWhatCannotBeRead(t *testing.T) {
	for name, body := range map[string]string{
		"cut":               "<ActionFinalize><err>OK</err><dK1>c4n4ry",
		"no err":            "<ActionFinalize><dK1>c4n4ry</dK1></ActionFinalize>",
		"an unusable step":  finalizeOf("<K0>c4n4ry</K0>"),
		"refused, unusable": "<ActionFinalize><err>NOK:ACCESS</err><K0>c4n4ry</K0></ActionFinalize>",
	} {
		for _, exchange := range finalizes {
			got, err := inwebo.ReadAnswer(exchange, secret.NewBytes([]byte(body)))
			if !errors.Is(err, inwebo.ErrUnreadable) || !reflect.DeepEqual(got, inwebo.Reading{}) {
				t.Errorf("%s: %+v, %v; want an unreadable answer", name, got, err)
			}
			assertSilent(t, err)
		}
	}
}

// A machine that has nothing left to make a connection with is no fault of the host.
func TestLocalExhaustionIsNoFaultOfTheHost(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		for name, err := range map[string]error{
			"connecting": &net.OpError{Op: "dial", Err: errno},
			"looking up": &net.OpError{Op: "dial", Err: &net.DNSError{Err: "dial udp: socket: " + errno.Error(), Name: canary}},
		} {
			got := inwebo.DialFault(t.Context(), inwebo.ExchangeOTPFinalize, err)
			if !isFault(got, inwebo.ErrNeverSent, inwebo.ErrLocal) || errors.Is(got, inwebo.ErrNetwork) {
				t.Errorf("%s, %v: %v; want never sent because of this machine", name, errno, got)
			}
			assertSilent(t, got)
		}
	}
}
