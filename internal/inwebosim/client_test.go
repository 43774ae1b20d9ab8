package inwebosim

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// client is a small client of the protocol, written from its text for these tests alone.
type client struct {
	base   string
	http   *http.Client
	serial string
	pin    string
	lang   string
	via    func(url.Values) (reply, error) // sends and reads instead of ask; nil for the usual way

	id, lastsync, sid string
	k0, k1            string // 32 hex, opened
	secret            []byte
	rounds            int
}

// reply is an answer: elements by name, in order.
type reply map[string][]string

func (r reply) one(name string) string {
	if len(r[name]) == 0 {
		return ""
	}
	return r[name][0]
}

func newClient(t testing.TB, s *Simulator) *client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{
		base: s.ProtocolURL() + "/iwws/MAC", http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		serial: "0123456789abcdef/_/" + randomHex(16), pin: "1234", lang: "fr", lastsync: "0",
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// ask sends one request; the error is the err text of a refusal, or what went wrong on the way.
func (c *client) ask(params url.Values) (reply, error) {
	if c.via != nil {
		return c.refusalAsError(c.via(params))
	}
	status, body, err := c.raw(params)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d", status)
	}
	return c.refusalAsError(parseReply(params.Get("action"), body))
}

// refusalAsError makes an error of a refusal.
func (c *client) refusalAsError(r reply, err error) (reply, error) {
	if err != nil {
		return nil, err
	}
	if got := r.one("err"); got != "OK" {
		return r, errors.New(got)
	}
	return r, nil
}

func (c *client) raw(params url.Values) (int, []byte, error) {
	request, err := http.NewRequest(http.MethodGet, c.base+"?"+params.Encode(), struct{ io.Reader }{strings.NewReader("")})
	if err != nil {
		return 0, nil, err
	}
	request.ContentLength = 0
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// parseReply reads a flat document with that root and nothing else.
func parseReply(root string, doc []byte) (reply, error) {
	var parsed struct {
		XMLName xml.Name
		Fields  []struct {
			XMLName xml.Name
			Text    string     `xml:",chardata"`
			Inner   []struct{} `xml:",any"`
		} `xml:",any"`
	}
	decoder := xml.NewDecoder(bytes.NewReader(doc))
	if err := decoder.Decode(&parsed); err != nil {
		return nil, err
	}
	if token, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%v behind the document", token)
	}
	if parsed.XMLName.Local != root {
		return nil, fmt.Errorf("root is %s", parsed.XMLName.Local)
	}
	r := reply{}
	for _, f := range parsed.Fields {
		if len(f.Inner) > 0 {
			return nil, errors.New("nested elements")
		}
		r[f.XMLName.Local] = append(r[f.XMLName.Local], f.Text)
	}
	return r, nil
}

func (c *client) params(action, mode string) url.Values {
	p := url.Values{
		"action": {action}, "mode": {mode}, "id": {c.id}, "lastsync": {c.lastsync},
		"macid": {"bb8e981582b0f31353108fb020bead1c"},
	}
	if mode != "ms" {
		p.Set("version", "Generator-1.0/0.2.11")
	}
	return p
}

func (c *client) prove(p url.Values, challenge, pin string) {
	p.Set("R0", refHash(challenge, c.k0, c.serial))
	p.Set("R1", refHash(challenge, c.k0, c.k1))
	p.Set("R2", refHash(challenge, c.k0, pin))
}

// activate enrolls the device: setup, finalize and, if asked for, ms.
func (c *client) activate(code string) error {
	ms, err := c.activateOnly(code)
	if err != nil || ms.one("ms_n") == "0" {
		return err
	}
	r, err := c.ask(c.msParams(ms))
	if err != nil {
		return err
	}
	return c.apply(r)
}

func (c *client) activateOnly(code string) (reply, error) {
	setup := c.params("ActionSetup", "activate")
	setup.Set("code", code)
	r, err := c.ask(setup)
	if err != nil {
		return nil, err
	}
	finalize, err := c.activateParams(code, r)
	if err != nil {
		return nil, err
	}
	if r, err = c.ask(finalize); err != nil {
		return r, err
	}
	r["Kfact"] = []string{finalize.Get("Kfact")}
	return r, c.apply(r)
}

// activateParams is the activate finalize; it carries Kfact along, which the service ignores.
func (c *client) activateParams(code string, setup reply) (url.Values, error) {
	kiw, err := refUnseal(setup.one("Kfact"), setup.one("Kiw"))
	if err != nil {
		return nil, err
	}
	p := c.params("ActionFinalize", "activate")
	for name, value := range map[string]string{
		"code": code, "lang": c.lang, "ack": "", "serial": c.serial, "name": "Test & Co", "Kfact": setup.one("Kfact"),
		"Kma": refEncrypt(kiw, c.kma()), "pin": refEncrypt(kiw, []byte(c.pin)),
		"R0": refHash("", "", c.serial), "R1": refHash("", "", ""), "R2": refHash("", "", ""),
	} {
		p.Set(name, value)
	}
	return p, nil
}

func (c *client) msParams(activated reply) url.Values {
	p := c.params("ActionFinalize", "ms")
	p.Set("ms_n", activated.one("ms_n"))
	c.secret = make([]byte, 16)
	rand.Read(c.secret)
	for i, id := range activated["ms_id"] {
		modulus, err := refUnseal(activated.one("Kfact"), activated["ms_key"][i])
		if err != nil {
			panic(err)
		}
		p.Set("ms_id"+strconv.Itoa(i), id)
		p.Set("ms_val"+strconv.Itoa(i), refEncrypt(modulus, c.secret))
	}
	c.prove(p, activated.one("challenge"), c.pin)
	return p
}

func (c *client) setupParams() url.Values {
	p := c.params("ActionSetup", "otp")
	p.Set("sid", c.sid)
	return p
}

func (c *client) finalizeParams(challenge, pin string) url.Values {
	p := c.params("ActionFinalize", "otp")
	p.Set("sid", c.sid)
	p.Set("keytype", "0")
	p.Set("lang", c.lang)
	p.Set("ack", "")
	c.prove(p, challenge, pin)
	return p
}

// round is one setup and one finalize with that PIN; it applies what the answer carries.
func (c *client) round(pin string) (reply, error) {
	c.rounds++
	setup, err := c.ask(c.setupParams())
	if err != nil {
		return setup, fmt.Errorf("setup: %w", err)
	}
	r, err := c.ask(c.finalizeParams(setup.one("challenge"), pin))
	if r != nil {
		if err := c.apply(r); err != nil {
			return r, err
		}
	}
	return r, err
}

// otp is one password, with the second round when J asks for it.
func (c *client) otp() (string, error) {
	r, err := c.round(c.pin)
	if err == nil && r.one("J") != "" {
		r, err = c.round(c.pin)
	}
	if err != nil {
		return "", err
	}
	return c.password(r.one("defi")), nil
}

// apply takes over the synchronization fields, in the protocol's order.
func (c *client) apply(r reply) error {
	set := func(to *string, name string) {
		if v := r.one(name); v != "" {
			*to = v
		}
	}
	set(&c.id, "id")
	for name, to := range map[string]*string{"K0": &c.k0, "K1": &c.k1} {
		if v := r.one(name); v != "" {
			*to = refAES(c.kma(), v, false)
		}
	}
	if v := r.one("dK1"); v != "" {
		c.k1 = refHash(c.k1, v)[:32]
	}
	set(&c.sid, "s_id")
	set(&c.lastsync, "Tsync")
	return nil
}

func (c *client) kma() []byte {
	kma, _ := hex.DecodeString(refHash(c.pin, c.serial)[:32])
	return kma
}

func (c *client) password(defi string) string {
	return refPassword(c.k1, defi, refAES(c.kma(), hex.EncodeToString(c.secret), true))
}
