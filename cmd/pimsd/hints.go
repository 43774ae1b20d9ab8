package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/config"
)

// ownCommand matches a command of pimsd in a text for people: what is before it, its words, with more of the text perhaps, and --help.
var ownCommand = regexp.MustCompile(`(^|[^/\w-])pimsd((?: [a-z]+)+)( --help)?`)

// invocation is how the program was called.
type invocation struct {
	program string         // what calls it again
	root    *cobra.Command // of which all commands are
	command *cobra.Command // that runs; nil until its flags are read
}

// inHint returns the text with the commands of pimsd in it as they can be pasted: with the name that the program was called by, and with
// the flags of settings that the command which runs was given, where the other one has them.
func (i *invocation) inHint(text string) string {
	return ownCommand.ReplaceAllStringFunc(text, func(match string) string {
		parts := ownCommand.FindStringSubmatch(match)
		words := strings.Fields(parts[2])
		command, rest, err := i.root.Find(words)
		if err != nil || command == i.root {
			return match
		}
		flags := ""
		if parts[3] == "" { // help needs none
			flags = i.flagsFor(command)
		}
		path := " " + strings.Join(words[:len(words)-len(rest)], " ")
		return parts[1] + word(i.program) + path + flags + strings.TrimPrefix(parts[2], path) + parts[3]
	})
}

// flagsFor returns the flags of settings that the command which runs was given and the other one has.
func (i *invocation) flagsFor(command *cobra.Command) string {
	if i.command == nil || i.command.Flags().Lookup(config.FlagFile) == nil || command.Flags().Lookup(config.FlagFile) == nil {
		return "" // pimsd dev has a data directory of its own
	}
	var settings []string
	for _, group := range config.FlagGroups() {
		settings = append(settings, group.Flags...)
	}
	var text strings.Builder
	i.command.Flags().Visit(func(f *pflag.Flag) {
		if slices.Contains(settings, f.Name) && command.Flags().Lookup(f.Name) != nil {
			text.WriteString(" --" + f.Name + "=" + quoted(f.Value.String()))
		}
	})
	return text.String()
}

// hinter writes texts for people, in which commands of pimsd can be pasted.
type hinter struct {
	to   io.Writer
	call *invocation
}

// Write is as io.Writer says.
func (h hinter) Write(text []byte) (int, error) {
	if _, err := io.WriteString(h.to, h.call.inHint(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// hints returns where a command writes texts with commands to paste.
func (p process) hints(w io.Writer) io.Writer { return hinter{w, p.call} }

// programName is how texts name the program.
const programName = "pimsd"

// callable returns what calls the program again: its name where the shell finds it, and else the path that it was called by.
func callable(called string) string {
	name := filepath.Base(called)
	if !strings.Contains(called, "/") { // the shell found it
		return called
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return called
	}
	same, err := os.Stat(found)
	own, errOwn := os.Stat(called) //nolint:gosec // the two are compared, and not opened
	if err == nil && errOwn == nil && os.SameFile(same, own) {
		return name
	}
	return called
}
