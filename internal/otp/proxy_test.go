package otp_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// mishap is what befalls an exchange between client and simulator.
type mishap string

const (
	fine        mishap = ""
	neverSent   mishap = "never sent"
	requestLost mishap = "request lost"
	answerLost  mishap = "answer lost"
	nonsense    mishap = "nonsense" // for an answer, to a request that was processed
	unread      mishap = "unread"   // an answer that a newer reader can read
	unreadAtAll mishap = "unread at all"
	exhausted   mishap = "exhausted" // this machine has nothing left to make a connection with
)

// bridge speaks to the simulator's door in the goroutine of its caller. Where a socket would stop the clock of a
// synctest bubble, it does not; and what the wire does to an exchange, it does on request. It makes OTPs only.
type bridge struct {
	otp.Inwebo
	door http.Handler
	// meddle, when set, is asked before each exchange. It may wait.
	meddle func(inwebo.Exchange) mishap
	// after, when set, is asked again when the exchange was processed, before its answer is given. It may wait.
	after func(inwebo.Exchange, mishap) mishap
}

func newBridge(sim *inwebosim.Simulator) *bridge { return &bridge{door: sim.Handler()} }

// newSlowBridge returns a bridge whose answers take a second.
func newSlowBridge(sim *inwebosim.Simulator) *bridge {
	b := newBridge(sim)
	b.after = func(_ inwebo.Exchange, happens mishap) mishap {
		time.Sleep(time.Second)
		return happens
	}
	return b
}

func (b *bridge) OTPSetup(ctx context.Context, who inwebo.Identity, sid string) (inwebo.Challenge, error) {
	answer, err := b.exchange(ctx, inwebo.ExchangeOTPSetup, "ActionSetup", who, url.Values{"sid": {sid}})
	return inwebo.Challenge{Text: answer["challenge"]}, err
}

func (b *bridge) OTPFinalize(ctx context.Context, who inwebo.Identity, sid string, p ratchet.Proofs) (inwebo.OTPFinalize, error) {
	answer, err := b.exchange(ctx, inwebo.ExchangeOTPFinalize, "ActionFinalize", who, url.Values{
		"sid": {sid}, "lang": {"fr"}, "ack": {""}, "keytype": {"0"}, "R0": {p.R0}, "R1": {p.R1}, "R2": {p.R2},
	})
	if err != nil {
		return inwebo.OTPFinalize{}, err
	}
	return inwebo.OTPFinalize{Finalized: inwebo.Finalized{Sync: answer.sync()}, Defi: answer["defi"], WantsSecondRound: answer["J"] != ""}, nil
}

func (b *bridge) exchange(ctx context.Context, name inwebo.Exchange, action string, who inwebo.Identity, query url.Values) (reply, error) {
	happens := fine
	if b.meddle != nil {
		happens = b.meddle(name)
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrLate)
	case happens == exhausted:
		return nil, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrLocal)
	case happens == neverSent:
		return nil, fmt.Errorf("%w: %w", inwebo.ErrNeverSent, inwebo.ErrNetwork)
	case happens == requestLost:
		return nil, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrNetwork)
	}
	for key, value := range map[string]string{
		"action": action, "mode": "otp", "id": who.ID, "lastsync": who.LastSync, "version": "test/1", "macid": strings.Repeat("0", 32),
	} {
		query.Set(key, value)
	}
	text := b.request(query)
	answer := readReply(text)
	if b.after != nil {
		happens = b.after(name, happens)
	}
	switch refusal, refused := strings.CutPrefix(answer["err"], "NOK:"); {
	case happens == answerLost:
		return nil, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrNetwork)
	case happens == nonsense:
		return nil, fmt.Errorf("%w: %w", inwebo.ErrNoAnswer, inwebo.ErrNotUnderstood)
	case happens == unread && refused:
		reason := inwebo.Reason(strings.TrimPrefix(refusal, "NOK_"))
		return nil, &inwebo.Refusal{Exchange: name, Reason: reason, Unusable: secret.NewBytes(text)}
	case happens == unread:
		return nil, &inwebo.Unreadable{Exchange: name, Answer: secret.NewBytes(text), Accepted: true}
	case happens == unreadAtAll:
		return nil, &inwebo.Unreadable{Exchange: name, Answer: secret.NewBytes(text)}
	case refused:
		reason := inwebo.Reason(strings.TrimPrefix(refusal, "NOK_"))
		return nil, &inwebo.Refusal{Exchange: name, Reason: reason, Sync: answer.sync()}
	}
	return answer, nil
}

func (b *bridge) request(query url.Values) (document []byte) {
	recorder := httptest.NewRecorder()
	b.door.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/iwws/MAC?"+query.Encode(), nil))
	return recorder.Body.Bytes()
}

// reply has the elements of an answer by name.
type reply map[string]string

func readReply(document []byte) reply {
	var parsed struct {
		Fields []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(document, &parsed); err != nil {
		panic(err) // the simulator speaks XML unless it is told otherwise, and here it is not
	}
	r := reply{}
	for _, field := range parsed.Fields {
		r[field.XMLName.Local] = field.Text
	}
	return r
}

func (r reply) sync() inwebo.Sync {
	move, err := ratchet.NewMove(r["K0"], r["K1"], r["dK1"])
	if err != nil {
		panic(err)
	}
	return inwebo.Sync{ID: r["id"], LastSync: r["Tsync"], Move: move, Offline: inwebo.Offline{J: r["J"]}}
}

// onFinalize meddles with every finalize.
func onFinalize(happens mishap) func(inwebo.Exchange) mishap {
	return func(exchange inwebo.Exchange) mishap {
		if exchange == inwebo.ExchangeOTPFinalize {
			return happens
		}
		return fine
	}
}
