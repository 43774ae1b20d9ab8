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

// addAccount makes the command take the name of an account as its argument, and returns the account, which is read before the command
// runs. parse is otp.ParseAccount where an account may come into being, and otp.ParseStoredAccount where it must exist.
func addAccount(cmd *cobra.Command, parse func(string) (otp.Account, error)) *otp.Account {
	who := new(otp.Account)
	addNamed(cmd, 0, func(name string, _ []string) (err error) {
		if name == "" {
			return errAccountMissing(cmd)
		}
		*who, err = parseName(name, parse)
		return err
	})
	return who
}

// addAccountOrAll is addAccount for a command with the flag --all, which takes the place of the name.
func addAccountOrAll(cmd *cobra.Command, all *bool) *otp.Account {
	who := new(otp.Account)
	addNamed(cmd, 0, func(name string, _ []string) (err error) {
		if (name != "") == *all {
			return usageError{fmt.Errorf("name one account, or give --all; see %q", cmd.CommandPath()+" --help")}
		}
		if !*all {
			*who, err = parseName(name, otp.ParseStoredAccount)
		}
		return err
	})
	return who
}

func errAccountMissing(cmd *cobra.Command) error {
	return usageError{fmt.Errorf("the account is missing: %s", cmd.UseLine())}
}

func parseName(name string, parse func(string) (otp.Account, error)) (otp.Account, error) {
	account, err := parse(name)
	if err != nil {
		return "", usageError{fmt.Errorf("the name of the account: %w", err)}
	}
	return account, nil
}

// addNamed makes the command take the name of an account as its first argument, and so many others at most. The flag --account,
// for scripts, takes the place of the first. check is called before the command runs; the name is empty when there is none. Errors
// must not repeat an argument, which may be a secret.
func addNamed(cmd *cobra.Command, others int, check func(name string, others []string) error) {
	flag := cmd.Flags().String("account", "", "the `name` of the account, instead of the argument")
	_ = cmd.Flags().MarkHidden("account") // it exists
	if others == 0 {
		cmd.ValidArgsFunction = cobra.NoFileCompletions // only the store knows the names
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		name, given := *flag, cmd.Flags().Changed("account")
		if !given && len(args) > 0 {
			name, given, args = args[0], true, args[1:]
		}
		switch {
		case name == "" && given:
			return usageError{errors.New("the name of the account is empty")}
		case len(args) > others:
			return usageError{fmt.Errorf("%q takes no other arguments but flags; see %q", cmd.CommandPath(), cmd.CommandPath()+" --help")}
		}
		if given {
			cmd.Annotations = map[string]string{namedAccount: name}
		}
		return check(name, args)
	}
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
