package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

// caller is the name of commands in the audit log.
const caller = "command"

// addAccount makes the command take the name of an account as its argument, and returns a function that reads it. parse is
// otp.ParseAccount where an account may come into being, and otp.ParseStoredAccount where it must exist.
func addAccount(cmd *cobra.Command, parse func(string) (otp.Account, error)) (read func() (otp.Account, error)) {
	named := addNamed(cmd, 0)
	return func() (otp.Account, error) {
		name, _, err := named.read()
		if err != nil {
			return "", err
		}
		return parseName(name, parse)
	}
}

// addAccountOrAll is addAccount for a command with the flag --all, which takes the place of the name.
func addAccountOrAll(cmd *cobra.Command, all *bool) (read func() (otp.Account, error)) {
	named := addNamed(cmd, 0)
	named.optional = true
	return func() (otp.Account, error) {
		name, _, err := named.read()
		switch {
		case err != nil:
			return "", err
		case (name != "") == *all:
			return "", usageError{fmt.Errorf("name one account, or give --all; see %q", cmd.CommandPath()+" --help")}
		case *all:
			return "", nil
		}
		return parseName(name, otp.ParseStoredAccount)
	}
}

func parseName(name string, parse func(string) (otp.Account, error)) (otp.Account, error) {
	account, err := parse(name)
	if err != nil {
		return "", usageError{fmt.Errorf("the name of the account: %w", err)}
	}
	return account, nil
}

// named is a command that takes the name of an account as its first argument. Scripts may use --account instead.
type named struct {
	cmd      *cobra.Command
	flag     *string
	others   int // arguments after the name
	optional bool
}

func addNamed(cmd *cobra.Command, others int) *named {
	n := &named{cmd: cmd, flag: cmd.Flags().String("account", "", "the `name` of the account, instead of the argument"), others: others}
	_ = cmd.Flags().MarkHidden("account") // it exists
	cmd.Args = cobra.ArbitraryArgs        // read checks them
	if others == 0 {
		cmd.ValidArgsFunction = completeNothing
	}
	return n
}

// read returns the name and the other arguments. Its errors do not repeat an argument, which may be a secret.
func (n *named) read() (name string, others []string, err error) {
	args := n.cmd.Flags().Args()
	given := n.cmd.Flags().Changed("account")
	switch {
	case given:
		name, others = *n.flag, args
	case len(args) > 0:
		name, others = args[0], args[1:]
	}
	switch {
	case name == "" && (given || len(args) > 0):
		return "", nil, usageError{errors.New("the name of the account is empty")}
	case name == "" && !n.optional:
		return "", nil, usageError{fmt.Errorf("the account is missing: %s", n.cmd.UseLine())}
	case len(others) > n.others:
		return "", nil, usageError{fmt.Errorf("%q takes no other arguments but flags; see %q",
			n.cmd.CommandPath(), n.cmd.CommandPath()+" --help")}
	}
	if name != "" {
		n.cmd.Annotations = map[string]string{namedAccount: name}
	}
	return name, others, nil
}

// namedAccount is the annotation of a command that has the name of its account.
const namedAccount = "account"

// withName returns advice in which the account that the command names is in the place of ACCOUNT, so that it can be pasted.
func withName(cmd *cobra.Command, advice string) string {
	if name, known := cmd.Annotations[namedAccount]; known {
		return strings.ReplaceAll(advice, "ACCOUNT", input.PrintableLines(word(name)))
	}
	return advice
}

// word returns the text as one word of a shell's command line, for hints that are pasted, and not taken for a flag.
func word[T ~string](text T) string {
	if strings.HasPrefix(string(text), "-") {
		return "-- " + quoted(text)
	}
	return quoted(text)
}

// quoted returns the text as a shell's command line has it in a word.
func quoted[T ~string](text T) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./:@%+,=-", r)
	}
	if text != "" && strings.IndexFunc(string(text), func(r rune) bool { return !plain(r) }) < 0 {
		return string(text)
	}
	return "'" + strings.ReplaceAll(string(text), "'", `'\''`) + "'"
}
