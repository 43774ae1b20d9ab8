package inwebosim

import "testing"

// TestAcknowledgedSteps: the truth tells the steps that a client can have learned from those that it cannot.
func TestAcknowledgedSteps(t *testing.T) {
	for name, c := range map[string]struct {
		n    Fault
		want bool
	}{
		"plain":                    {Fault{Kind: KindDelay}, true},
		"lost request":             {Fault{Kind: KindLostRequest}, false},
		"lost answer":              {Fault{Kind: KindLostAnswer}, false},
		"cut":                      {Fault{Kind: KindCut, Bytes: -1}, false},
		"drip":                     {Fault{Kind: KindDrip, Bytes: 100, Interval: 1}, true},
		"refused with its step":    {Fault{Kind: KindErr, Err: "NOK:STATE", Process: new(true)}, true},
		"refused without its step": {Fault{Kind: KindErr, Err: "NOK:STATE", Process: new(true), Drop: []string{"dK1"}}, false},
		"synchronization failed":   {Fault{Kind: KindSynchroFailed}, false},
		"extra":                    {Fault{Kind: KindExtra}, true},
		"another Tsync":            {Fault{Kind: KindExtra, Fields: []Field{{"Tsync", "1"}}}, false},
		"web page":                 {Fault{Kind: KindHTML, Process: new(true)}, false},
		"readable form":            {Fault{Kind: KindForm, Form: "http-close-before-last-chunk"}, true},
		"service list spoiled":     {Fault{Kind: KindForm, Form: "services-count-differs"}, true},
		"step spoiled":             {Fault{Kind: KindForm, Form: "Tsync-different"}, false},
		"unreadable form":          {Fault{Kind: KindForm, Form: "err-different"}, false},
		"cut form":                 {Fault{Kind: KindForm, Form: "http-cut-last-byte"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := with(t, func(*Knobs) {})
			d := enrolled(t, s)
			before := expectedState(t, s, d)
			if before.Moves != 1 || before.Acknowledged != 1 || before.AcknowledgedK1 != d.k1 || !before.HasStep(d.k0, d.k1) {
				t.Fatalf("after the activation: %+v", before)
			}
			c.n.Match = Match{Action: actionFinalize, Mode: modeOTP}
			if err := s.Plant(c.n); err != nil {
				t.Fatal(err)
			}
			k0, k1 := d.k0, d.k1
			_, _ = d.round(d.pin)
			got := expectedState(t, s, d)
			if acknowledged := got.Acknowledged == 2; acknowledged != c.want || got.HasStep(k0, k1) == c.want || !got.HasStep(got.K0, got.K1) {
				t.Errorf("the old keys suffice: %t; %+v", got.HasStep(k0, k1), got)
			}
		})
	}
}

// TestRefusalAcknowledgesNothing: an answer without keys does not make up for one that was lost.
func TestRefusalAcknowledgesNothing(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	k0, k1 := c.k0, c.k1
	if err := s.Plant(Fault{Kind: KindLostAnswer, Match: Match{Action: actionFinalize}}); err != nil {
		t.Fatal(err)
	}
	_, _ = c.round(c.pin)
	mustRefuse(t, c, c.pin, errAccess)
	if got := expectedState(t, s, c); got.Moves != 2 || got.Acknowledged != 1 || !got.HasStep(k0, k1) || got.WrongInARow != 1 {
		t.Errorf("%+v", got)
	}
}

// TestActivationThatIsLost: the keys of the first activation stay the acknowledged ones.
func TestActivationThatIsLost(t *testing.T) {
	s := with(t, func(*Knobs) {})
	c := enrolled(t, s)
	if err := s.Plant(Fault{Kind: KindLostAnswer, Match: Match{Action: actionFinalize, Mode: modeActivate}}); err != nil {
		t.Fatal(err)
	}
	if err := c.activate(DefaultCode); err == nil {
		t.Fatal("the answer was not lost")
	}
	if got := expectedState(t, s, c); got.Moves != 2 || got.Acknowledged != 1 || got.AcknowledgedK0 != c.k0 || got.K0 == c.k0 {
		t.Errorf("%+v", got)
	}
}
