package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
)

func newKey(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Manage the API keys of callers",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyCreate(p))
	return cmd
}

func newKeyCreate(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --account A",
		Short: "Make an API key and print it, this once",
		Long: `Make an API key and print it alone on standard output. It is shown this once: pimsd keeps only its hash.

The key lets its holder call the service for one account.`,
		Example: `  KEY=$(pimsd key create --account alice)`,
	}
	account := addAccount(cmd)
	expires := cmd.Flags().Duration("expires-in", 0, "how long the key is good for, such as 720h; 0: until it is revoked")
	return withConfig(p, cmd, func(cmd *cobra.Command, c *config.Config) error {
		who, err := account()
		if err != nil {
			return err
		}
		grant := authn.Grant{Account: string(who)}
		return withCore(cmd, c, func(core *app.Core) error {
			at := now()
			var until time.Time
			if *expires != 0 {
				until = at.Add(*expires)
			}
			key, text, err := authn.NewKey(grant, at, until)
			if err != nil {
				return usageError{err}
			}
			if err := core.Store.AddKey(cmd.Context(), key); err != nil {
				return fmt.Errorf("store the key: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text.Reveal())
			return err
		})
	})
}
