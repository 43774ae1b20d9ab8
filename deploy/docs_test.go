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

// script is what a reader of the document types, one block after the other; ports are replaced by free ones.
func script(t *testing.T, document string) string {
	t.Helper()
	var typed strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(read(t, document), -1) {
		typed.WriteString(block[1])
	}
	if typed.Len() == 0 {
		t.Fatalf("%s has nothing to type", document)
	}
	simulator := free(t)
	return "trap 'jobs -p | xargs -r kill; wait' EXIT\nexport PIMSD_LISTEN=" + free(t) + " PIMSD_OPS_LISTEN=" + free(t) + "\n" +
		strings.NewReplacer("http://127.0.0.1:8080", "http://$PIMSD_LISTEN", "'http://127.0.0.1:9464/readyz?verbose'",
			`"http://$PIMSD_OPS_LISTEN/readyz?verbose"`, "127.0.0.1:9800", simulator,
			"pimsd simulator &", "pimsd simulator --listen "+simulator+" --control 127.0.0.1:0 &").Replace(typed.String())
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

// The blocks of the documents are run as they stand there, in a home of their own.
func TestTheDocumentsCommandsRun(t *testing.T) {
	t.Parallel()
	for document, want := range map[string][]string{
		"../docs/getting-started.md": {
			`note +store`, `alive`, `The device of "alice" is enrolled`, `"status":"SUCCEEDED","result":{"otp":"`, `store: ok`, `ok +store`,
			`outcome +done`,
		},
		"../docs/upgrading.md": {`pimsd \S+`, `ok +configuration`},
	} {
		home := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "bash", "-c", "set -eu\n"+script(t, document))
		cmd.Env = []string{"HOME=" + home, "PATH=" + filepath.Dir(pimsd) + ":" + os.Getenv("PATH")}
		if strings.Contains(document, "upgrading") {
			cmd.Env = append(cmd.Env, "PIMSD_INWEBO_URL="+startDev(t).simulator)
		}
		out, err := cmd.CombinedOutput()
		for _, text := range want {
			if !regexp.MustCompile(text).Match(out) {
				t.Errorf("%s: nothing says %q", document, text)
			}
		}
		if err != nil || strings.Contains(string(out), "failed") || t.Failed() {
			t.Errorf("%s: %v\n%s", document, err, out)
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
