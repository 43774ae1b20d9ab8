package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command explains itself on standard output, and that is a success.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	for _, command := range commandsBelow(newRoot(process{})) {
		path := strings.Fields(command.CommandPath())[1:]
		var out, said bytes.Buffer
		status := run(t.Context(), append(path, "--help"), process{stdout: &out, stderr: &said})
		for _, part := range []string{"Usage:", "pimsd " + strings.Join(path, " "), "--help"} {
			if status != statusDone || said.Len() > 0 || !strings.Contains(out.String(), part) {
				t.Errorf("%s --help ends with %d, lacks %s, says %q", command.CommandPath(), status, part, said.String())
			}
		}
		if lines := strings.Count(out.String(), "\n"); lines > 45 { // docs/contract.md §6
			t.Errorf("%s --help has %d lines", command.CommandPath(), lines)
		}
		if what, _, _ := strings.Cut(out.String(), "Usage:"); len(strings.TrimSpace(what)) < 10 {
			t.Errorf("%s --help does not say what it is for", command.CommandPath())
		}
	}
}

// commandsBelow gives every command that people can call.
func commandsBelow(parent *cobra.Command) (all []*cobra.Command) {
	for _, command := range parent.Commands() {
		all = append(append(all, command), commandsBelow(command)...)
	}
	return all
}
