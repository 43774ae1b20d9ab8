package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/config"
)

// durationFlag adds a flag for a duration such as 90m or 30d.
func durationFlag(flags *pflag.FlagSet, name, usage string) *time.Duration {
	d := new(time.Duration)
	flags.Var((*duration)(d), name, usage)
	return d
}

// duration is a flag's value.
type duration time.Duration

// Set is as pflag.Value says.
func (d *duration) Set(text string) error {
	parsed, err := config.ParseDuration(text)
	*d = duration(parsed)
	return err
}

// String is as pflag.Value says.
func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Type is as pflag.Value says.
func (d *duration) Type() string { return "duration" }

// completeValues has shells complete a flag with these words.
func completeValues(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}
