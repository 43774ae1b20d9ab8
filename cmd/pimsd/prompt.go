package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/secret"
)

// readSecret asks for a secret on a terminal, without echo, and otherwise takes the next line of standard input. A PIN
// is never an argument: every user of a machine can read the arguments of its processes.
func (p process) readSecret(ctx context.Context, name string) (secret.Text, error) {
	typed, err := p.readHidden(ctx, name+": ")
	switch {
	case errors.Is(err, input.ErrLineTooLong):
		return secret.Text{}, usageError{fmt.Errorf("the %s on standard input cannot be one: %w", name, err)}
	case err != nil:
		return secret.Text{}, fmt.Errorf("the %s cannot be read from standard input: %w", name, err)
	case typed == "":
		return secret.Text{}, usageError{fmt.Errorf("the %s is missing: type it on a terminal, or write it as a line of standard input", name)}
	default:
		return secret.NewText(typed), nil
	}
}

// readPIN asks for a PIN, and refuses what cannot be one before it costs a guess.
func (p process) readPIN(ctx context.Context) (secret.Text, error) {
	pin, err := p.readSecret(ctx, "PIN")
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

// readHidden reads a line: on a terminal after the prompt, without an echo, until errEnded; elsewhere as readLine does.
func (p process) readHidden(ctx context.Context, prompt string) (string, error) {
	if !input.IsTerminal(p.stdin) {
		return p.readLine(ctx)
	}
	showAgain, err := input.HideEcho(p.stdin)
	if err != nil {
		return "", fmt.Errorf("the terminal goes on showing what is typed: %w", err)
	}
	defer showAgain() // also after an interruption, when the read goes on
	_, _ = fmt.Fprint(p.stderr, prompt)
	typed, err := unlessInterrupted(ctx, p.lines.Next)
	_, _ = fmt.Fprintln(p.stderr)
	if errors.Is(err, io.EOF) {
		err = errEnded
	}
	return typed, err
}

// readLine reads a line of standard input, which may be the last and lack its end. After the last one it returns an empty line.
func (p process) readLine(ctx context.Context) (string, error) {
	line, err := unlessInterrupted(ctx, p.lines.Next)
	if errors.Is(err, io.EOF) {
		return "", nil
	}
	return line, err
}

var (
	errInterrupted = errors.New("interrupted")
	errEnded       = errors.New("it was ended (Ctrl-D)")
)

// unlessInterrupted waits for a read, which nothing can end but its input, or until the command is told to end.
func unlessInterrupted(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}

// maxSMSCode is how many characters an SMS code may have, as in the API.
const maxSMSCode = 64

// readSMSCode returns the SMS code of the flag, or asks for it when the flag is empty. It returns a usage error for a text that cannot be
// a code, so that the command asks for no PIN that would be of no use.
func (p process) readSMSCode(ctx context.Context, given string) (secret.Text, error) {
	code := secret.NewText(given)
	if code.IsEmpty() {
		var err error
		if code, err = p.readSecret(ctx, "SMS code"); err != nil {
			return code, err
		}
	}
	strange := func(r rune) bool { return r <= ' ' || r > '~' }
	if text := code.Reveal(); len(text) > maxSMSCode || strings.ContainsFunc(text, strange) {
		return secret.Text{}, usageError{fmt.Errorf("the SMS code cannot be one: enter the code alone, without blanks, at most %d "+
			"characters", maxSMSCode)}
	}
	return code, nil
}
