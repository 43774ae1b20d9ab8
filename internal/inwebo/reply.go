package inwebo

import (
	"errors"
	"strconv"
	"strings"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// Sync is what an answer changes in the device's state (inwebo-protocol.md §4); what is empty stays as it is.
type Sync struct {
	ID       string
	LastSync string
	Move     ratchet.Move
	Offline  Offline
	// Services replaces the list of services, when HasServices.
	Services    []Service
	HasServices bool
}

// IsEmpty tells whether the answer changes nothing.
func (s Sync) IsEmpty() bool {
	return s.ID == "" && s.LastSync == "" && s.Move.IsEmpty() && s.Offline == Offline{} && !s.HasServices
}

// Finalized is what every finalize answers.
type Finalized struct {
	Sync Sync
	// Blocked says that inWebo did what was asked, and blocks the device from now on (OK:BLOCKED).
	Blocked bool
}

// Offline belongs to offline OTPs: kept, never used.
type Offline struct {
	J string `json:"j,omitempty"`
	K string `json:"k,omitempty"`
	H string `json:"h,omitempty"`
}

// Service is one that the device can make OTPs for; its ID is the sid of the otp requests.
type Service struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ActivateSetup answers the SMS code: the server's keys as sent, and whether the account has a PIN already.
type ActivateSetup struct {
	Kfact, Kiw string
	PINMode    PINMode
}

// PINMode is a bit mask (inwebo-protocol.md §3, step 1).
type PINMode uint8

// The bits of a PINMode.
const (
	PINExisting PINMode = 1 // the account has a PIN: it is enrolled already, and asks for that PIN
	PINNew      PINMode = 2
	PINBiokey   PINMode = 8
)

// ActivateFinalize answers an activation. MSIDs and MSKeys belong together by position.
type ActivateFinalize struct {
	Finalized
	Challenge     string
	MSIDs, MSKeys []string
}

// Challenge is what the next proofs must answer, verbatim.
type Challenge struct{ Text string }

// OTPFinalize answers the proofs: Defi is what the OTP is made of. An answer that lacks it has moved the ratchet all the
// same, so its state counts.
type OTPFinalize struct {
	Finalized
	Defi string
}

// WantsSecondRound tells that this round was a resynchronisation (inwebo-protocol.md §6, step 3).
func (o OTPFinalize) WantsSecondRound() bool { return o.Sync.Offline.J != "" }

// answer is a document whose err has been read and is OK.
type answer struct {
	*document
	body    []byte // as it arrived
	blocked bool
}

// newAnswer reads err, and turns every refusal into a *Refusal.
func newAnswer(exchange Exchange, d *document, body []byte) (answer, error) {
	if d.root != rootOf(exchange) {
		return answer{}, documentFault(exchange, body, errForeignRoot)
	}
	a := answer{document: d, body: body}
	var accepted bool
	if accepted, a.blocked = acceptance(d); accepted {
		return a, nil
	}
	status, name, _ := strings.Cut(d.text("err"), ":")
	if status != "NOK" {
		return answer{}, answerFault(exchange, a, errors.New("its err is neither OK nor NOK"))
	}
	sync, err := readSync(a)
	refusal := &Refusal{Exchange: exchange, Reason: reasonOf(name), Sync: sync}
	if err != nil {
		refusal.Unusable = secret.NewBytes(body)
	}
	return answer{}, refusal
}

func rootOf(exchange Exchange) string {
	if exchange == ExchangeActivateSetup || exchange == ExchangeOTPSetup {
		return rootSetup
	}
	return rootFinalize
}

func readActivateSetup(a answer) (ActivateSetup, error) {
	reply := ActivateSetup{Kfact: a.text("Kfact"), Kiw: a.text("Kiw")}
	if reply.Kfact == "" || reply.Kiw == "" {
		return reply, errors.New("it lacks Kfact or Kiw")
	}
	mask, err := strconv.ParseUint(a.text("pinmode"), 10, 8)
	if err != nil {
		return reply, errors.New("pinmode is missing or no number")
	}
	reply.PINMode = PINMode(mask)
	return reply, nil
}

func readActivateFinalize(a answer) (ActivateFinalize, error) {
	finalized, err := readFinalized(a)
	if err != nil {
		return ActivateFinalize{}, err
	}
	reply := ActivateFinalize{Finalized: finalized, Challenge: a.text("challenge")}
	n, _, err := a.count("ms_n")
	if err != nil {
		return reply, err
	}
	if n > 0 && reply.Challenge == "" {
		return reply, errNoChallenge
	}
	if reply.MSIDs, err = a.list("ms_id", n); err != nil {
		return reply, err
	}
	reply.MSKeys, err = a.list("ms_key", n)
	return reply, err
}

var errNoChallenge = errors.New("the challenge is missing")

func readChallenge(a answer) (Challenge, error) {
	challenge := Challenge{a.text("challenge")}
	if challenge.Text == "" {
		return challenge, errNoChallenge
	}
	return challenge, nil
}

func readOTPFinalize(a answer) (OTPFinalize, error) {
	finalized, err := readFinalized(a)
	return OTPFinalize{Finalized: finalized, Defi: a.text("defi")}, err
}

func readFinalized(a answer) (Finalized, error) {
	sync, err := readSync(a)
	return Finalized{Sync: sync, Blocked: a.blocked}, err
}

func readSync(a answer) (Sync, error) {
	move, err := ratchet.NewMove(a.text("K0"), a.text("K1"), a.text("dK1"))
	if err != nil {
		return Sync{}, err
	}
	sync := Sync{
		ID: a.text("id"), LastSync: a.text("Tsync"), Move: move,
		Offline: Offline{J: a.text("J"), K: a.text("K"), H: a.text("H")},
	}
	if services, ok := readServices(a); ok {
		sync.Services, sync.HasServices = services, true
	}
	return sync, nil
}

// readServices reads the list of services. It reports false when the answer has none, or one that does not add up: it
// enters no proof, so it is dropped.
func readServices(a answer) (services []Service, ok bool) {
	n, none, err := a.count("s_n")
	if err != nil || none {
		return nil, false
	}
	ids, err := a.list("s_id", n)
	if err != nil {
		return nil, false
	}
	names := make([]string, n) // a list without names is still a list of services
	if a.has("s_name") {
		if names, err = a.list("s_name", n); err != nil {
			return nil, false
		}
	}
	services = make([]Service, n)
	for i := range services {
		services[i] = Service{ids[i], names[i]}
	}
	return services, true
}
