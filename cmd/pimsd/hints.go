package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// ownCommand matches the beginning of a command of pimsd in a text for people.
var ownCommand = regexp.MustCompile(`(^|[^/\w-])pimsd (account|audit|check|config|dev|enroll|errors|health|import|key|otp|seal|serve|` +
	`simulator|store|version)\b`)

// hinter writes texts for people. In the commands of pimsd that they advise, it names the program as it was called, so that they can be
// pasted where the shell does not find pimsd.
type hinter struct {
	to      io.Writer
	program string
}

// Write is as io.Writer says.
func (h hinter) Write(text []byte) (int, error) {
	if h.program == "" || h.program == programName {
		return h.to.Write(text)
	}
	program := strings.ReplaceAll(word(h.program), "$", "$$")
	if _, err := io.WriteString(h.to, ownCommand.ReplaceAllString(string(text), "${1}"+program+" ${2}")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// hints returns where a command writes texts with commands to paste.
func (p process) hints(w io.Writer) io.Writer { return hinter{w, p.program} }

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
