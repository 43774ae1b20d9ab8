package inwebosim

import (
	"net/url"
	"testing"
)

func TestActivationFields(t *testing.T) {
	s := started(t, Options{Accounts: []Account{
		{Login: "new", Codes: []Code{{Value: "111111"}}},
		{Login: "old", PIN: "2468", Codes: []Code{{Value: "222222"}}},
	}})
	for code, want := range map[string]string{"111111": "2", "222222": "1"} {
		p := newClient(t, s).params("ActionSetup", "activate")
		p.Set("code", code)
		r, err := newClient(t, s).ask(p)
		if err != nil || r.one("pinmode") != want || len(r.one("Kiw")) != 3*256 || len(r.one("Kfact")) != 256 {
			t.Errorf("code %s: %v, %v; want pinmode %s", code, r, err, want)
		}
	}
	c := newClient(t, s)
	r, err := c.activateOnly("111111")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ms_n": "1", "s_n": "1", "J": "0", "K": "0", "newversion": "", "server": ""} {
		if len(r[name]) != 1 || r.one(name) != want {
			t.Errorf("%s is %v, want %q", name, r[name], want)
		}
	}
	if !isLowerHex(r.one("id"), 16) || r.one("Tsync") == "" || r.one("challenge") == "" || r.one("ms_id") == "" {
		t.Errorf("the answer lacks something: %v", r)
	}
}

func TestActivationRefusals(t *testing.T) {
	s := started(t, Options{Accounts: []Account{
		{Login: "old", PIN: "2468", Codes: []Code{{Value: "222222"}}},
		{Login: "demo", Codes: []Code{{Value: DefaultCode}}},
	}})
	for _, c := range []struct {
		name, code string
		spoil      func(p url.Values)
		want       string
	}{
		{"unknown code", "999999", nil, "NOK:CODE"},
		{"malformed code", "12-456", nil, "NOK:SN"},
		{"another PIN than the account's", "222222", nil, "NOK:ACCESS"},
		{"R0 of another serial", DefaultCode, set("R0", refHash("", "", "x")), "NOK:ACCESS"},
		{"R1 not of emptiness", DefaultCode, set("R1", refHash("", "", "x")), "NOK:ACCESS"},
		{"R2 with the PIN", DefaultCode, set("R2", refHash("", "", "1234")), "NOK:ACCESS"},
		{"serial without alea", DefaultCode, set("serial", "0123/_/12"), "NOK:SN"},
		{"serial with a semicolon", DefaultCode, set("serial", "01;23/_/"+randomHex(16)), "NOK:SN"},
		{"Kma that is no ciphertext", DefaultCode, set("Kma", randomHex(128)), "NOK:SN"},
		{"Kma of another PIN", DefaultCode, seal(s, "Kma", []byte("0123456789abcdef")), "NOK:ACCESS"},
		{"Kma too short", DefaultCode, seal(s, "Kma", []byte("0123456789abcde")), "NOK:SN"},
		{"PIN of three digits", DefaultCode, seal(s, "pin", []byte("123")), "NOK:PINREFUSED"},
		{"PIN of letters", DefaultCode, seal(s, "pin", []byte("abcd")), "NOK:PINREFUSED"},
		{"no name", DefaultCode, func(p url.Values) { p.Del("name") }, "NOK:SN"},
		{"no ack", DefaultCode, func(p url.Values) { p.Del("ack") }, "NOK:SN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, s)
			if err := activateSpoilt(client, c.code, c.spoil); err == nil || err.Error() != c.want {
				t.Errorf("ended with %v, want %s", err, c.want)
			}
		})
	}
	if ids := s.DeviceIDs(); len(ids) != 0 {
		t.Errorf("refused activations left the devices %v", ids)
	}
}

func set(name, value string) func(url.Values) { return func(p url.Values) { p.Set(name, value) } }

func seal(s *Simulator, name string, plain []byte) func(url.Values) {
	return set(name, refEncrypt(s.keys.kiw.modulus(), plain))
}

// activateSpoilt sends both activate requests, the second changed.
func activateSpoilt(c *client, code string, spoil func(url.Values)) error {
	p := c.params("ActionSetup", "activate")
	p.Set("code", code)
	r, err := c.ask(p)
	if err != nil {
		return err
	}
	if p, err = c.activateParams(code, r); err != nil {
		return err
	}
	if spoil != nil {
		spoil(p)
	}
	_, err = c.ask(p)
	return err
}

// TestSameSerialIsSameDevice activates twice: one device, new keys, the old ones worth nothing.
func TestSameSerialIsSameDevice(t *testing.T) {
	s := with(t, func(k *Knobs) { k.DeviceLimit = 1 })
	c := enrolled(t, s)
	first := *c
	c.pin = "98765432"
	if err := c.activate(DefaultCode); err != nil {
		t.Fatal(err)
	}
	if c.id != first.id || c.k0 == first.k0 || c.k1 == first.k1 {
		t.Fatalf("id %s became %s, K0 %s became %s", first.id, c.id, first.k0, c.k0)
	}
	mustVerify(t, s, c)
	mustRefuse(t, &first, first.pin, "NOK:ACCESS")
	if err := newClient(t, s).activate(DefaultCode); err == nil || err.Error() != "NOK:MAXNBTOOLS" {
		t.Errorf("a second serial ended with %v, want NOK:MAXNBTOOLS", err)
	}
}

func TestActivationEndsABlock(t *testing.T) {
	s := started(t, Options{})
	c := enrolled(t, s)
	if err := s.Block(c.id); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, c, c.pin, "NOK:NOK_BLOCKED")
	if err := c.activate(DefaultCode); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, s, c)
}

func TestCodeThatServesOnce(t *testing.T) {
	once := Account{Login: "demo", Codes: []Code{{Value: "abcDEF12", Once: true}}}
	s := started(t, Options{Accounts: []Account{once}})
	for range 2 {
		if err := newClient(t, s).activate("abcDEF12"); err != nil {
			t.Fatal(err)
		}
		if err := newClient(t, s).activate("abcDEF12"); err == nil || err.Error() != "NOK:CODE" {
			t.Fatalf("the spent code ended with %v, want NOK:CODE", err)
		}
		if err := s.AddAccount(once); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAddAccountRefuses(t *testing.T) {
	s := started(t, Options{})
	for name, a := range map[string]Account{
		"no login": {}, "PIN": {Login: "x", PIN: "12"}, "code": {Login: "x", Codes: []Code{{Value: "1"}}},
		"another's code": {Login: "x", Codes: []Code{{Value: DefaultCode}}},
	} {
		if err := s.AddAccount(a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNotActivatedHasNoPasswords(t *testing.T) {
	s := started(t, Options{})
	c := newClient(t, s)
	if _, err := c.activateOnly(DefaultCode); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, c, c.pin, "NOK:FORBIDDEN")
	c.id = "0123456789abcdef"
	mustRefuse(t, c, c.pin, "NOK:NODEVICE")
}

func TestMSRefusals(t *testing.T) {
	s := with(t, func(k *Knobs) { k.Secrets, k.WrongLimit = 2, 0 })
	for _, c := range []struct {
		name  string
		spoil func(p url.Values)
		want  string
	}{
		{"another ms_n", set("ms_n", "1"), "NOK:SN"},
		{"a secret that differs", set("ms_val1", refEncrypt(s.keys.secrets[1].modulus(), []byte("0123456789abcdef"))), "NOK:SN"},
		{"a secret too short", set("ms_val0", refEncrypt(s.keys.secrets[0].modulus(), []byte("0123456789abcde"))), "NOK:SN"},
		{"one id twice", func(p url.Values) {
			p.Set("ms_id1", p.Get("ms_id0"))
			p.Set("ms_val1", p.Get("ms_val0"))
		}, "NOK:SN"},
		{"an unknown id", set("ms_id0", "1"), "NOK:SN"},
		{"values exchanged", func(p url.Values) {
			zero, one := p.Get("ms_val0"), p.Get("ms_val1")
			p.Set("ms_val0", one)
			p.Set("ms_val1", zero)
		}, "NOK:SN"},
		{"R2 without the PIN", set("R2", refHash("", "", "")), "NOK:ACCESS"},
		{"blocked meanwhile", func(p url.Values) { _ = s.Block(p.Get("id")) }, "NOK:NOK_BLOCKED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, s)
			r, err := client.activateOnly(DefaultCode)
			if err != nil {
				t.Fatal(err)
			}
			p := client.msParams(r)
			c.spoil(p)
			if _, err := client.ask(p); err == nil || err.Error() != c.want {
				t.Errorf("ended with %v, want %s", err, c.want)
			}
		})
	}
}
