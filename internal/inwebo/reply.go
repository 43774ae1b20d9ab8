package inwebo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/secret"
)

// Sync is what an answer changes in the device's state (docs/protocol.md §4); what is empty stays as it is.
type Sync struct {
	ID       string
	LastSync string
	Move     ratchet.Move
	Offline  Offline
	// Services replaces the stored list of services when HasServices. Otherwise the list in the answer does not add up,
	// and Services is what there is of it, for a device that has no list yet.
	Services    []Service
	HasServices bool
}

// IsEmpty reports whether the answer changes nothing.
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

// PINMode is a bit mask (docs/protocol.md §3, step 1).
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
	// WantsSecondRound reports whether this round was a resynchronization (docs/protocol.md §6, step 3): the answer has a
	// J that is not empty, even one that cannot be used.
	WantsSecondRound bool
}

// answer is a document whose err has been read and is OK.
type answer struct {
	*document
	source  *source // the body that it was read from
	blocked bool
}

// newAnswer reads err, and turns every refusal into a *Refusal.
func newAnswer(exchange Exchange, d *document, body *source) (answer, error) {
	if d.root != rootOf(exchange) {
		return answer{}, documentFault(exchange, d, body, errForeignXML)
	}
	a := answer{document: d, source: body}
	var accepted bool
	if accepted, a.blocked = acceptance(d); accepted {
		return a, nil
	}
	status, name, _ := strings.Cut(d.textOrNone("err"), ":")
	if strings.TrimSpace(status) != "NOK" {
		return answer{}, answerFault(exchange, a, errors.New("its err is neither OK nor NOK"))
	}
	sync, err := readSync(d)
	refusal := &Refusal{Exchange: exchange, Reason: reasonOf(strings.TrimSpace(name)), Sync: sync}
	if err != nil {
		refusal.Unusable = secret.NewBytes(body.body)
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
	reply := ActivateSetup{Kfact: a.textOrNone("Kfact"), Kiw: a.textOrNone("Kiw")}
	if reply.Kfact == "" || reply.Kiw == "" {
		return reply, errors.New("it lacks Kfact or Kiw")
	}
	mask, err := strconv.ParseUint(a.textOrNone("pinmode"), 10, 8)
	if err != nil {
		return reply, errors.New("pinmode is missing or no number")
	}
	reply.PINMode = PINMode(mask)
	return reply, nil
}

// readActivateFinalize is strict about what the ms finalize needs: a device that cannot be given its secret makes no OTPs,
// and no stored step can be lost.
func readActivateFinalize(a answer) (ActivateFinalize, error) {
	finalized, err := readFinalized(a)
	if err != nil {
		return ActivateFinalize{}, err
	}
	reply := ActivateFinalize{Finalized: finalized}
	n, _, err := a.count("ms_n")
	if err != nil {
		return reply, err
	}
	if reply.MSIDs, err = a.exactList("ms_id", n); err != nil {
		return reply, err
	}
	if reply.MSKeys, err = a.exactList("ms_key", n); err != nil {
		return reply, err
	}
	if reply.Challenge, err = readChallengeText(a); err != nil && n > 0 {
		return reply, err
	}
	return reply, nil
}

func readChallenge(a answer) (Challenge, error) {
	text, err := readChallengeText(a)
	return Challenge{text}, err
}

func readChallengeText(a answer) (string, error) {
	text, ok := a.exact("challenge")
	switch {
	case !ok:
		return "", errors.New("the challenge cannot be used")
	case text == "":
		return "", errors.New("the challenge is missing")
	default:
		return text, nil
	}
}

// readOTPFinalize drops a defi that cannot be used: the answer has moved the ratchet all the same.
func readOTPFinalize(a answer) (OTPFinalize, error) {
	finalized, err := readFinalized(a)
	defi, _ := a.exact("defi")
	j, ok := a.list("J")
	return OTPFinalize{Finalized: finalized, Defi: defi, WantsSecondRound: !ok || strings.Join(j, "") != ""}, err
}

func readFinalized(a answer) (Finalized, error) {
	sync, err := readSync(a.document)
	return Finalized{Sync: sync, Blocked: a.blocked}, err
}

// readSync reads what an answer changes. Its error says that the step cannot be used; the rest is read all the same.
func readSync(d *document) (Sync, error) {
	sync, err := readStep(d)
	sync.Offline = Offline{J: d.textOrNone("J"), K: d.textOrNone("K"), H: d.textOrNone("H")}
	sync.Services, sync.HasServices = readServices(d)
	return sync, err
}

// readStep reads the fields that form one ratchet step. When one of them cannot be used, it returns none of them.
func readStep(d *document) (Sync, error) {
	var texts [5]string
	for i, name := range [...]string{"id", "Tsync", "K0", "K1", "dK1"} {
		var ok bool
		if texts[i], ok = d.exact(name); !ok {
			return Sync{}, fmt.Errorf("%s cannot be used", name)
		}
	}
	move, err := ratchet.NewMove(texts[2], texts[3], texts[4])
	if err != nil {
		return Sync{}, err
	}
	return Sync{ID: texts[0], LastSync: texts[1], Move: move}, nil
}

// readServices reads the list of services. It enters no proof, so whatever is wrong with it costs nothing: addsUp reports
// whether there is a list and its parts fit each other. When not, the result is what there is of it. A list of none does not
// add up: a device without a service could be asked for nothing, so no answer could ever add one again.
func readServices(d *document) (services []Service, addsUp bool) {
	ids, ok := d.list("s_id")
	names, _ := d.list("s_name")
	n, none, err := d.count("s_n")
	addsUp = ok && !none && err == nil && n > 0
	hasNames := len(names) == len(ids)
	addsUp = addsUp && len(ids) == n && (hasNames || len(names) == 0)
	for i, id := range ids {
		if id == "" || !isExact(id) {
			addsUp = false
			continue
		}
		service := Service{ID: id}
		if hasNames {
			service.Name = names[i]
		}
		services = append(services, service)
	}
	return services, addsUp
}
