package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where the shell does not find pimsd, what an error advises to type names the program as it was called.
func TestHintsNameProgramAsCalled(t *testing.T) {
	t.Parallel()
	say := func(program string, args ...string) string {
		var out, said bytes.Buffer
		run(t.Context(), args, process{
			program: program, stdout: &out, stderr: &said, environ: []string{"PIMSD_DATA_DIR=" + t.TempDir()},
		})
		return out.String() + said.String()
	}
	for _, tc := range []struct {
		args []string
		hint string // behind the program
	}{
		{[]string{"errors", "2308"}, " account unlock"},
		{[]string{"errors", "1"}, " errors\" lists them"},
		{[]string{"account", "doubt"}, " account doubt --help"},
		{[]string{"serve", "--help"}, " config --default"},
	} {
		for program, shown := range map[string]string{"pimsd": "pimsd", "bin/pimsd": "bin/pimsd", "/opt/$1/pimsd": "/opt/$1/pimsd"} {
			text := strings.ReplaceAll(say(program, tc.args...), "'", "")
			if !strings.Contains(text, shown+tc.hint) {
				t.Errorf("%s %v: %s", program, tc.args, text)
			}
		}
	}
}

// Every command of pimsd is recognized in a hint.
func TestHintsKnowAllCommands(t *testing.T) {
	t.Parallel()
	root := newRoot(process{})
	for _, command := range root.Commands() {
		var out bytes.Buffer
		_, _ = hinter{&out, &invocation{program: "bin/pimsd", root: root}}.Write([]byte("Try `pimsd " + command.Name() + " --help`."))
		if name := command.Name(); name != "help" && name != "completion" && !strings.Contains(out.String(), "`bin/pimsd "+name) {
			t.Errorf("%s", out.String())
		}
	}
}

// A hint carries the flags of settings that the command was given, where the command that it names has them.
func TestHintsCarrySettings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		given      []string
		text, want string
	}{
		{[]string{"--data-dir", "/data"}, "Type: pimsd account unlock alice", "Type: pimsd account unlock --data-dir=/data alice"},
		{[]string{"--config", "my file", "--data-dir=d"}, "pimsd otp alice", "pimsd otp --config='my file' --data-dir=d alice"},
		{[]string{"--data-dir", "d"}, "pimsd account list shows the accounts", "pimsd account list --data-dir=d shows the accounts"},
		{[]string{"--data-dir", "-d"}, "`pimsd store restore` again", "`pimsd store restore --data-dir=-d` again"},
		{[]string{"--data-dir", "d", "--needs", "doubt", "--json"}, "pimsd check", "pimsd check --data-dir=d"},
		{[]string{"--data-dir", "d"}, `see "pimsd account list --help"`, `see "pimsd account list --help"`},
		{[]string{"--data-dir", "d"}, "pimsd errors 2308, pimsd dev", "pimsd errors 2308, pimsd dev"},
		{[]string{"--data-dir", "d"}, "pimsd keeps the serial: pimsd", "pimsd keeps the serial: pimsd"},
		{nil, "pimsd otp alice", "pimsd otp alice"},
	} {
		root := newRoot(process{})
		command, _, err := root.Find([]string{"account", "list"})
		if err == nil {
			err = command.ParseFlags(tc.given)
		}
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		_, _ = hinter{&out, &invocation{program: "pimsd", root: root, command: command}}.Write([]byte(tc.text))
		if out.String() != tc.want {
			t.Errorf("%q: %s", tc.given, out.String())
		}
	}
}

func TestCallable(t *testing.T) {
	found, other := filepath.Join(t.TempDir(), "pimsd"), filepath.Join(t.TempDir(), "pimsd")
	for _, file := range []string{found, other} {
		if err := os.WriteFile(file, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Dir(found))
	for called, want := range map[string]string{"pimsd": "pimsd", found: "pimsd", other: other, "": ""} {
		if got := callable(called); got != want {
			t.Errorf("%q: %q", called, got)
		}
	}
	t.Setenv("PATH", "/nowhere")
	if got := callable(found); got != found {
		t.Errorf("not on PATH: %q", got)
	}
}
