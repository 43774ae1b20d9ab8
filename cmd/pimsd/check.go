package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
)

func newCheck(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try what the service would stand on, and say what is wrong",
		Long: `Look at the configuration, the store, the sealing keys, the clock, the certificates, the keys of token issuers and the
inWebo host, and say in a line each what was found, and what to do where that is not good. It changes nothing and touches no
account; inWebo is asked a question that it refuses for its form.

Exit status 0: nothing failed. 1: something did. 2: the configuration cannot be used.`,
		Example: `  pimsd check
  pimsd check --json | jq '.findings[] | select(.outcome == "failed")'`,
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON, with every setting")
	addSettings(cmd, "maintenance") // which changes nothing of what is checked
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(p.settingsOf(cmd))
		r := report{Findings: []app.Finding{}, Settings: []config.Effective{}}
		if err == nil {
			r.Findings = append(r.Findings, configurationFound(c))
			r.Findings = append(r.Findings, app.Inspect(cmd.Context(), c)...)
			r.Settings = c.Effective()
		} else {
			r.Findings = append(r.Findings, configurationFaults(err)...)
		}
		r.Passed = app.Passed(r.Findings)
		human := func(w io.Writer, r report) error { return printReport(p.hints(w), r) }
		if printed := show(cmd.OutOrStdout(), *asJSON, r, human); printed != nil {
			return printed
		}
		switch {
		case err != nil:
			return usageError{errCheckConfiguration}
		case !r.Passed:
			return errCheckFailed
		default:
			return nil
		}
	}
	return cmd
}

var (
	errCheckConfiguration = errors.New("the configuration cannot be used")
	errCheckFailed        = errors.New("something is wrong: see the lines that say failed")
)

// report is all that a check says.
type report struct {
	Passed   bool               `json:"passed"`
	Findings []app.Finding      `json:"findings"`
	Settings []config.Effective `json:"settings"`
}

const theConfiguration = "configuration"

func configurationFound(c *config.Config) app.Finding {
	all := c.Effective()
	given := 0
	for _, e := range all {
		if c.IsSet(e.Key) {
			given++
		}
	}
	return app.Finding{What: theConfiguration, Outcome: app.OutcomeOK, Detail: fmt.Sprintf("%d settings, %d of them given", len(all), given)}
}

// configurationFaults returns each fault as a finding.
func configurationFaults(err error) (findings []app.Finding) {
	const advice = "docs/configuration.md has every setting; pimsd config --default prints a file of them."
	var faults config.Faults
	if !errors.As(err, &faults) {
		return []app.Finding{{What: theConfiguration, Outcome: app.OutcomeFailed, Detail: err.Error(), Advice: advice}}
	}
	for _, fault := range faults {
		findings = append(findings, app.Finding{
			What: theConfiguration, Outcome: app.OutcomeFailed, Detail: fault.String(), Advice: advice,
		})
	}
	return findings
}

// printReport writes a line for each finding, and below the configuration's one for each setting that was given.
func printReport(w io.Writer, r report) error {
	table := newTable(w, "")
	for _, f := range r.Findings {
		printRow(table, f.Outcome, f.What, joinSentences(oneLine(f.Detail), f.Advice))
		if f.What != theConfiguration {
			continue
		}
		for _, s := range r.Settings {
			if s.Origin != "default" {
				printRow(table, "", "  "+s.Key, orEmptyText(s.Text)+", from "+s.Origin)
			}
		}
	}
	return table.Flush()
}

func joinSentences(detail, advice string) string {
	if advice == "" {
		return detail
	}
	return strings.TrimSuffix(detail, ".") + ". " + advice
}

// oneLine keeps an error of several lines in the table: errors that are joined have a line each.
func oneLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return strings.Join(lines, "; ")
}
