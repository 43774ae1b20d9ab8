package devicefile_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/inwebo/ratchet"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// vector says what must come out of a file.
type vector struct {
	File       string
	Importable bool
	PIN        string
	Serial     ratchet.Serial
	MacID      string
	ID         string
	LastSync   string
	SID        string
	K0, K1     string
	Secval     string
	Secret     string
}

// vectors are the files of testdata/devices: made by the clients themselves, and what is in them said by others.
func vectors(t *testing.T) (all []vector) {
	t.Helper()
	names, err := filepath.Glob("testdata/devices/*.json")
	if err != nil || len(names) != 4 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	for _, name := range names {
		var v vector
		if err := json.Unmarshal(content(t, name), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	read, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestVectors(t *testing.T) {
	t.Parallel()
	imported := 0
	for _, v := range vectors(t) {
		device, err := devicefile.Read(content(t, "testdata/devices/"+v.File))
		if !v.Importable {
			if !errors.Is(err, devicefile.ErrNotActivated) {
				t.Errorf("%s: %v", v.File, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.File, err)
			continue
		}
		imported++
		want := "psa_car_controller"
		if strings.HasPrefix(v.File, "home") {
			want = "the Home Assistant integration"
		}
		if device.Client != want || device.MacID != v.MacID || device.PIN.Reveal() != v.PIN {
			t.Errorf("%s: of %s, macid %s", v.File, device.Client, device.MacID)
		}
		for _, typed := range []string{"", v.PIN} {
			found, err := device.With(secret.NewText(typed))
			if err != nil {
				t.Errorf("%s: %v", v.File, err)
			}
			v.check(t, found)
		}
		if _, err := device.With(secret.NewText("4321")); !errors.Is(err, devicefile.ErrOtherPIN) {
			t.Errorf("%s with another PIN: %v", v.File, err)
		}
	}
	if imported != 3 {
		t.Errorf("%d files were read", imported)
	}
}

// check wants exactly what the vector says.
func (v vector) check(t *testing.T, found otp.ForeignDevice) {
	t.Helper()
	state := found.State
	if found.Serial != v.Serial || found.Identity.ID != v.ID || found.Identity.LastSync != v.LastSync ||
		len(found.Services) != 1 || found.Services[0].ID != v.SID || found.Services[0].Name != "PSA" {
		t.Errorf("%s: %q %+v %+v", v.File, found.Serial, found.Identity, found.Services)
	}
	if state.Keys.K0.Reveal() != v.K0 || state.Keys.K1.Reveal() != v.K1 || hex.EncodeToString(state.Secret.Reveal()) != v.Secret ||
		!state.Unproven.IsEmpty() || !state.Unopened.IsEmpty() {
		t.Errorf("%s: other keys or another secret", v.File)
	}
	if secval := ratchet.NewKma(secret.NewText(v.PIN), v.Serial).Secval(state.Secret); secval.Reveal() != v.Secval {
		t.Errorf("%s: the secret gives another secval", v.File)
	}
}

// The same devices as other Pythons save them.
func TestOtherProtocols(t *testing.T) {
	t.Parallel()
	all := map[string]vector{}
	for _, v := range vectors(t) {
		all[v.File] = v
	}
	for name, of := range map[string]string{
		"protocol2.pickle": "psa_car_controller-2021-otp.bin", "protocol3.pickle": "psa_car_controller-2021-otp.bin",
		"protocol5.pickle": "home-assistant_otp.pickle",
	} {
		device, err := devicefile.Read(content(t, "testdata/made/"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found, err := device.With(secret.Text{})
		if err != nil {
			t.Error(err)
		}
		all[of].check(t, found)
	}
	if _, err := devicefile.Read(content(t, "testdata/made/protocol0.pickle")); err == nil {
		t.Error("protocol 0 makes objects by calling")
	}
}

// Without a PIN in the file, the secret stays closed, whatever is typed.
func TestWithoutAPIN(t *testing.T) {
	t.Parallel()
	device, err := devicefile.Read(content(t, "testdata/made/without-pin.pickle"))
	if err != nil || !device.PIN.IsEmpty() {
		t.Fatalf("%v, with a PIN: %v", err, !device.PIN.IsEmpty())
	}
	for _, typed := range []string{"", "1234", "4321"} {
		found, err := device.With(secret.NewText(typed))
		if err != nil || !found.State.Secret.IsEmpty() || found.State.Unopened.Reveal() != "9b93584a4dac705e2ae0ef6b1ddda937" {
			t.Errorf("typed %q: %v", typed, err)
		}
	}
}

func TestTwoServices(t *testing.T) {
	t.Parallel()
	device, err := devicefile.Read(content(t, "testdata/made/two-services.pickle"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := device.With(secret.Text{})
	if err != nil || len(found.Services) != 2 || found.Services[1].ID != "6980" || found.Services[1].Name != "PSA 2" {
		t.Errorf("%v %+v", err, found.Services)
	}
	if names := device.Services(); strings.Join(names, ",") != "PSA,PSA 2" {
		t.Errorf("the services are %q", names)
	}
}

// A good file with one thing changed is no device any more, and no error quotes it. The changes fit the format.
func TestSpoiledFiles(t *testing.T) {
	t.Parallel()
	good := string(content(t, "testdata/devices/psa_car_controller-otp.bin"))
	for name, change := range map[string][2]string{
		"another class":           {"\x03Otp\x94", "\x03Opt\x94"},
		"other data":              {"IWData", "IWDate"},
		"no key":                  {"3fdf8bf898677297844516c340312c5d", "3fdf8bf898677297844516c340312c5g"},
		"an upper-case key":       {"c35d051f206eaeb1b754e987b0403ba9", "C35D051F206EAEB1B754E987B0403BA9"},
		"no secval":               {"9b93584a4dac705e2ae0ef6b1ddda937", "9b93584a4dac705e2ae0ef6b1ddda93 "},
		"no alea":                 {"326edb3191758be847b21af784c90a8a", "326edb3191758be847b21af784c90a8-"},
		"a semicolon":             {"cd62c6945fb3dcd8", "cd62c6945fb3dcd;"},
		"no PIN":                  {"\x041234", "\x0412x4"},
		"a PIN that is no text":   {"codepin\x94\x8c\x041234\x94", "codepin\x94]\x94\x94\x94\x94\x94\x94"},
		"a key that is not there": {"iwK0", "iwKO"},
		"a control in an id":      {"1aa0b0579ee2003c", "1aa0b0579ee2003\r"},
		"cut":                     {"synchroJustDone\x94K\x01ub.", ""},
		"trailing":                {"K\x01ub.", "K\x01ub.."},
	} {
		spoiled := strings.Replace(good, change[0], change[1], 1)
		if spoiled == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		device, err := devicefile.Read([]byte(spoiled))
		if err == nil {
			t.Errorf("%s: it is read as a device of %s", name, device.Client)
			continue
		}
		for _, secret := range []string{"1234", "12x4", "3fdf8b", "c35d05", "C35D", "9b9358", "326edb", "cd62c6"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error quotes the file: %v", name, err)
			}
		}
	}
}

// Other clients have the same classes in other modules.
func TestModulesOfOtherClients(t *testing.T) {
	t.Parallel()
	good := string(content(t, "testdata/devices/psa_car_controller-otp.bin"))
	const module = "\x8c\x1epsa_car_controller.psa.otp.otp"
	for other, want := range map[string]string{
		"otp.Otp":                              "psa_car_controller",
		"custom_components.psa.otp":            "the Home Assistant integration",
		"peugeotcars.otp.Otp":                  "the client that calls its module peugeotcars.otp.Otp",
		"__main__":                             "the client that calls its module __main__",
		"a\x1b[31mb":                           `the client that calls its module a\x1b[31mb`,
		"m" + strings.Repeat("o", 70) + "dule": "the client that calls its module m" + strings.Repeat("o", 63),
	} {
		changed := strings.ReplaceAll(good, module, "\x8c"+string(rune(len(other)))+other)
		if changed == good {
			t.Fatal("nothing was changed")
		}
		device, err := devicefile.Read(framed(changed))
		if err != nil || device.Client != want {
			t.Errorf("%q: of %q, %v; want %q", other, device.Client, err, want)
		}
	}
}

// framed corrects the length that the pickle's frame has after its two bytes of protocol.
func framed(text string) []byte {
	changed := []byte(text)
	binary.LittleEndian.PutUint64(changed[3:], uint64(len(changed)-11))
	return changed
}

// A name of a service enters no proof, so that none refuses a device.
func TestServiceNames(t *testing.T) {
	t.Parallel()
	good := string(content(t, "testdata/devices/psa_car_controller-otp.bin"))
	for name, want := range map[string]string{
		"PSA\u00a0Europe":          "PSA\u00a0Europe",
		"\u3000":                   "\u3000",
		"a\x1b[m":                  "",
		"a\nb":                     "",
		"a\u202eb":                 "",
		"":                         "",
		strings.Repeat("A", 1025):  "",
		"Citroën, Opel & Vauxhall": "Citroën, Opel & Vauxhall",
	} {
		item := "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(name)))) + name
		device, err := devicefile.Read(framed(strings.Replace(good, "\x8c\x03PSA", item, 1)))
		if err != nil {
			t.Errorf("%.20q: %v", name, err)
			continue
		}
		found, err := device.With(secret.Text{})
		if err != nil {
			t.Fatal(err)
		}
		service := found.Services[0]
		if want == "" {
			want = service.ID
		}
		if service.Name != want || service.ID == "" {
			t.Errorf("%.20q: %+v, want the name %q", name, service, want)
		}
	}
}

// The same devices as text: a plugin keeps them so.
func TestBase64(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		if !v.Importable {
			continue
		}
		raw := content(t, "testdata/devices/"+v.File)
		text := base64.StdEncoding.EncodeToString(raw)
		for name, wrapped := range map[string]string{
			"alone":               text,
			"with a line break":   text + "\r\n",
			"with a mark":         "\ufeff" + text,
			"in lines":            regexp.MustCompile(`.{76}`).ReplaceAllString(text, "$0\n"),
			"without padding":     strings.TrimRight(text, "="),
			"of the URL kind":     base64.URLEncoding.EncodeToString(raw),
			"as Python prints it": "b'" + text + "'",
			"in quotes":           `"` + text + `"`,
		} {
			device, err := devicefile.Read([]byte(wrapped))
			if err != nil {
				t.Errorf("%s, %s: %v", v.File, name, err)
				continue
			}
			found, err := device.With(secret.Text{})
			if err != nil {
				t.Fatal(err)
			}
			v.check(t, found)
		}
	}
}

func TestFilesThatAreSomethingElse(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	if file, err := w.Create("otp.bin"); err != nil {
		t.Fatal(err)
	} else if _, err := file.Write(content(t, "testdata/devices/psa_car_controller-otp.bin")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		content string
		want    error
	}{
		"a ZIP":              {archive.String(), devicefile.ErrArchive},
		"an empty ZIP":       {"PK\x05\x06" + strings.Repeat("\x00", 18), devicefile.ErrArchive},
		"base64 of a ZIP":    {base64.StdEncoding.EncodeToString(archive.Bytes()), devicefile.ErrArchive},
		"base64 of gzip":     {base64.URLEncoding.EncodeToString([]byte("\x1f\x8b\x08\x00")), devicefile.ErrArchive},
		"gzip":               {"\x1f\x8b\x08\x00", devicefile.ErrArchive},
		"nothing":            {"", devicefile.ErrEmpty},
		"blanks":             {" \r\n", devicefile.ErrEmpty},
		"a mark alone":       {"\ufeff", devicefile.ErrEmpty},
		"base64 of a text":   {base64.StdEncoding.EncodeToString([]byte("hello")), devicefile.ErrMalformed},
		"JSON":               {`{"otp": 1}`, devicefile.ErrMalformed},
		"base64 of a call":   {base64.StdEncoding.EncodeToString([]byte("\x80\x04cos\nsystem\n(X\x02\x00\x00\x00idtR.")), devicefile.ErrCalls},
		"a list of nothing":  {"\x80\x04].", devicefile.ErrForeign},
		"base64 of a pickle": {base64.StdEncoding.EncodeToString([]byte("\x80\x04].")), devicefile.ErrForeign},
	} {
		if _, err := devicefile.Read([]byte(tc.content)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, dir := range []string{"testdata/devices", "testdata/made"} {
		names, err := filepath.Glob(dir + "/*")
		if err != nil || len(names) == 0 {
			f.Fatal(err)
		}
		for _, name := range names {
			f.Add(content(f, name))
			f.Add([]byte(base64.StdEncoding.EncodeToString(content(f, name))))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		device, err := devicefile.Read(data)
		if err != nil {
			return
		}
		found, err := device.With(secret.Text{})
		if err != nil {
			t.Fatal(err)
		}
		if found.Identity.ID == "" || len(found.Services) == 0 || found.State.Secret.IsEmpty() == found.State.Unopened.IsEmpty() {
			t.Errorf("half a device: %+v", found)
		}
		if _, err := ratchet.Restore(*found.State.Save()); err != nil {
			t.Errorf("no record could keep it: %v", err)
		}
	})
}
