package inwebosim

import (
	"fmt"
	"slices"
)

// Form names one odd way of writing or sending an answer: one entry of [OddForms].
type Form string

// Reading says how far a client that reads as docs/protocol.md §1 asks gets with an answer.
type Reading string

const (
	// ReadingComplete means that err is known, and every element that the form does not spoil.
	ReadingComplete Reading = "complete"
	// ReadingUnreadable means that an answer arrives and its root is the right one, but its err is not known.
	ReadingUnreadable Reading = "unreadable"
	// ReadingBegun means that the connection ends within the document, behind the start tag of its root.
	ReadingBegun Reading = "begun"
	// ReadingCut means that the connection ends before the root begins.
	ReadingCut Reading = "cut"
)

// OddForm describes one odd way of writing or sending an answer, and what a client must make of it. A [Fault]
// of [KindForm] plants it.
type OddForm struct {
	Name  Form   `json:"name"`
	About string `json:"about"`
	// At lists the exchanges that the form is made for. Elsewhere it can be planted, but changes nothing that matters.
	At      []Match `json:"at"`
	Reading Reading `json:"reading"`
	// Spoils names the elements of a readable answer that must not be used. "services" represents the service list.
	Spoils []string `json:"spoils,omitempty"`
}

// Readable reports whether a client must learn err from the answer.
func (f OddForm) Readable() bool { return f.Reading == ReadingComplete }

// StepUsable reports whether a client must apply the step that the answer carries. The fields of a step are
// applied together: one that is spoiled spoils the step.
func (f OddForm) StepUsable() bool {
	return f.Readable() && !slices.ContainsFunc(f.Spoils, func(name string) bool {
		return slices.Contains(stepFields(), name)
	})
}

// Harmless reports whether a client must go on as after any other answer: neither its step nor what the exchange
// was made for is spoiled.
func (f OddForm) Harmless() bool {
	return f.Readable() && !slices.ContainsFunc(f.Spoils, func(name string) bool { return name != "services" && name != "J" })
}

// Fits reports whether the form is made for the exchange of that action and mode.
func (f OddForm) Fits(action, mode string) bool {
	return slices.Contains(f.At, Match{Action: action, Mode: mode})
}

// OddForms lists every odd form, in a fixed order.
func OddForms() []OddForm {
	var list []OddForm
	for _, f := range forms() {
		list = append(list, f.OddForm)
	}
	return list
}

// stepFields are the elements that move a device, which are one step (section 4).
func stepFields() []string { return []string{"id", "K0", "K1", "dK1", "Tsync"} }

// The exchanges that a form can be made for.
func everyExchange() []Match { return append(setups(), finalizes()...) }

func setups() []Match {
	return []Match{{Action: actionSetup, Mode: modeActivate}, {Action: actionSetup, Mode: modeOTP}}
}

func finalizes() []Match {
	return []Match{
		{Action: actionFinalize, Mode: modeActivate},
		{Action: actionFinalize, Mode: modeMS},
		{Action: actionFinalize, Mode: modeOTP},
	}
}

// form is an odd form and how it is made. A stage that is nil is done as in any other answer.
type form struct {
	OddForm
	// edit changes the elements.
	edit func([]Field) []Field
	// write writes the document.
	write func(answer) []byte
	// send sends the answer.
	send func(delivery)
	// contentType replaces the usual Content-Type.
	contentType string
	// needsServices makes the service add the service list to an otp finalize.
	needsServices bool
}

// forms lists every odd form with how it is made.
func forms() []form {
	return slices.Concat(elementForms(), documentForms(), encodingForms(), stepForms(), httpForms())
}

// findForm returns the form of that name.
func findForm(name Form) (form, error) {
	for _, f := range forms() {
		if f.Name == name {
			return f, nil
		}
	}
	return form{}, fmt.Errorf("form is %q, but must be one of those that GET /forms lists", name)
}

// form returns the form of a planted fault of [KindForm], and one that changes nothing for any other.
func (n *Fault) form() form {
	if n.odd == nil {
		return form{}
	}
	return *n.odd
}

// edited returns the answer with the elements as the form has them.
func (f form) edited(ans answer) answer {
	if f.edit != nil {
		ans.fields = f.edit(slices.Clone(ans.fields))
	}
	return ans
}

// body returns the document in the form.
func (f form) body(ans answer) []byte {
	if f.write == nil {
		return ans.document()
	}
	return f.write(ans)
}

// header returns the Content-Type.
func (f form) header() string {
	if f.contentType == "" {
		return contentTypeXML
	}
	return f.contentType
}
