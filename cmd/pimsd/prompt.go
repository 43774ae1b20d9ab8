package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"github.com/pimsd/pimsd/internal/secret"
)

// readSecret asks for a secret on a terminal, without echo, and otherwise takes the next line of standard input. A PIN
// is never an argument: every user of a machine can read the arguments of its processes.
func (p process) readSecret(name string) (secret.Text, error) {
	typed, err := p.readHidden(name + ": ")
	switch {
	case err != nil:
		return secret.Text{}, fmt.Errorf("the %s cannot be read from standard input: %w", name, err)
	case typed == "":
		return secret.Text{}, usageError{fmt.Errorf("the %s is missing: type it on a terminal, or give it as a line of standard input", name)}
	default:
		return secret.NewText(typed), nil
	}
}

// readPIN asks for a PIN, and refuses what cannot be one before it costs a guess.
func (p process) readPIN() (secret.Text, error) {
	pin, err := p.readSecret("PIN")
	if err != nil {
		return pin, err
	}
	return checkPIN(pin.Reveal())
}

// checkPIN takes 4 to 8 digits, or nothing.
func checkPIN(typed string) (secret.Text, error) {
	if typed != "" && (len(typed) < 4 || len(typed) > 8 || strings.Trim(typed, "0123456789") != "") {
		return secret.Text{}, usageError{errors.New("a PIN has 4 to 8 digits")}
	}
	return secret.NewText(typed), nil
}

func (p process) readHidden(prompt string) (string, error) {
	if fd := int(p.stdin.Fd()); term.IsTerminal(fd) {
		_, _ = fmt.Fprint(p.stderr, prompt)
		typed, err := term.ReadPassword(fd)
		_, _ = fmt.Fprintln(p.stderr)
		return string(typed), err
	}
	line, err := p.lines.ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return trimLine(line), err
}

func trimLine(line string) string { return strings.TrimRight(line, "\r\n") }
