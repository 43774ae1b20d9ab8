package app

import (
	"fmt"
	"strings"
	"time"
)

// reading is what two clocks said at the same moment; the zero reading says nothing.
type reading struct{ there, here time.Time }

// How far a clock may be off. An inWebo answer gives its time in whole seconds, and takes one to arrive.
const (
	tolerable = 5 * time.Second
	too       = time.Minute
)

// inspectClocks compares this machine's clock with that of the store, which decides about holds and quotas, and that of
// inWebo's answer. This machine's decides when keys and tokens expire.
func inspectClocks(store, inwebo reading) Finding {
	const what, advice = "clock", "Have the clocks set from the network (NTP): API keys and tokens expire by this machine's."
	worst, said := time.Duration(0), []string{}
	for _, other := range []struct {
		name string
		reading
	}{{"the store's", store}, {"inWebo's", inwebo}} {
		if other.there.IsZero() {
			continue
		}
		off := other.here.Sub(other.there)
		worst = max(worst, off.Abs())
		said = append(said, compareClock(other.name, off))
	}
	switch detail := strings.Join(said, ", "); {
	case len(said) == 0:
		return skipped(what, "there is no other clock to compare with")
	case worst > too:
		return fails(what, detail, advice)
	case worst > tolerable:
		return note(what, detail, advice)
	default:
		return passes(what, detail)
	}
}

func compareClock(name string, off time.Duration) string {
	switch {
	case off.Abs() <= tolerable:
		return "agrees with " + name
	case off > 0:
		return fmt.Sprintf("%v ahead of %s", off.Round(time.Second), name)
	default:
		return fmt.Sprintf("%v behind %s", off.Abs().Round(time.Second), name)
	}
}
