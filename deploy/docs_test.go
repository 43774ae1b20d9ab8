package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// script is what a reader of the document types, one block after the other, from a heading on; ports are replaced by free ones.
func script(t *testing.T, document, from string) string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, document), from)
	var typed strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
		typed.WriteString(block[1])
	}
	if typed.Len() == 0 {
		t.Fatalf("%s has nothing to type", document)
	}
	simulator := free(t)
	return strings.NewReplacer("http://127.0.0.1:8080", "http://$PIMSD_LISTEN", "'http://127.0.0.1:9464/readyz?verbose'",
		`"http://$PIMSD_OPS_LISTEN/readyz?verbose"`, "127.0.0.1:9800", simulator,
		"pimsd simulator &", "pimsd simulator --listen "+simulator+" --control 127.0.0.1:0 &",
		"make build\n", "", "bin/pimsd", "pimsd", // TestMain has built it
		"/var/lib/pimsd/", "$PIMSD_DATA_DIR/", " /backup/", " $HOME/").Replace(typed.String())
}

func free(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// running is what a shell has that finds a service with the demonstration's account on this machine.
const running = `export PIMSD_DATA_DIR=$HOME/pimsd
pimsd serve &
pimsd health --wait 30s
printf '123456\n1234\n' | pimsd enroll alice
`

// The blocks of the documents are run as they are there, in a home of their own.
func TestTheDocumentsCommandsRun(t *testing.T) {
	t.Parallel()
	for _, told := range []struct {
		document, from string
		before, typed  string // what there is before the first block, and what is typed at prompts
		says           []string
	}{
		{document: "../docs/getting-started.md", says: []string{
			`note +store`, `alive`, `The device of "alice" is enrolled`, `"status":"SUCCEEDED","result":{"otp":"`, `store: ok`, `ok +store`,
			`outcome +done`,
		}},
		{document: "../docs/upgrading.md", says: []string{`pimsd \S+`, `ok +configuration`}},
		{document: "../docs/operations.md", before: running, says: []string{
			`ok +sealing keys`, `quota.otps_per_day +6 +default`, `Nothing was changed`, `stored as the device of "ACCOUNT", in doubt`,
			`the backup is complete and checked`, `2 in doubt`, `current +2`, `Resealed 2 records`,
		}},
		{document: "../README.md", from: "## With a real account", typed: "123456\n1234\n", says: []string{
			`The device of "alice" is enrolled`, `(?m)^pims_\w+$`,
		}},
	} {
		home := t.TempDir()
		device := read(t, "../internal/devicefile/testdata/devices/psa_car_controller-otp.bin")
		if err := os.WriteFile(filepath.Join(home, "otp.bin"), []byte(device), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", "trap 'jobs -p | xargs -r kill; wait' EXIT\n"+
			told.before+script(t, told.document, told.from))
		cmd.Dir, cmd.Stdin = home, strings.NewReader(told.typed)
		cmd.Env = []string{
			"HOME=" + home, "PATH=" + filepath.Dir(pimsd) + ":" + os.Getenv("PATH"),
			"PIMSD_LISTEN=" + free(t), "PIMSD_OPS_LISTEN=" + free(t), "PIMSD_INWEBO_URL=" + startDev(t).simulator,
		}
		out, err := cmd.CombinedOutput()
		for _, text := range told.says {
			if !regexp.MustCompile(text).Match(out) {
				t.Errorf("%s: nothing says %q", told.document, text)
			}
		}
		if err != nil || strings.Contains(string(out), "failed") || t.Failed() {
			t.Errorf("%s: %v\n%s", told.document, err, out)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// What the documents point to is there.
func TestTheDocumentsLinksLead(t *testing.T) {
	t.Parallel()
	var documents []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/alerts/*.md", "*/*.md", "helm/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		documents = append(documents, found...)
	}
	for _, document := range documents {
		for _, to := range link.FindAllStringSubmatch(read(t, document), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), to[1])); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
	index := read(t, "../docs/README.md")
	for _, document := range documents {
		if name := filepath.Base(document); filepath.Dir(document) == "../docs" && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}
