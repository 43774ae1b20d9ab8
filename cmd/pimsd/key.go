package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

func newKey(p process) *cobra.Command {
	return newGroup("key", "Manage the API keys of callers",
		newKeyCreate(p), newKeyList(p), newKeyRevoke(p))
}

func newKeyCreate(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create (ACCOUNT | --backend [--prefix P])",
		Short: "Make an API key and print it, this once",
		Long: `Make an API key and print it alone on standard output. It is shown this once: pimsd keeps only its hash.

A key is bound to one account, or a backend's, which names the account of each call in the header X-Pims-Account: any
account, or those with a prefix. A prefix that ends with a letter or digit covers the account of that name, and those that go
on with another character: fleet-1 covers fleet-1 and fleet-1-a, and not fleet-10. What a key covers is told on standard error.`,
		Example: `  KEY=$(pimsd key create alice)
  KEY=$(pimsd key create --backend --prefix fleet- --expires-in 90d)`,
	}
	var grant authn.Grant
	flags := cmd.Flags()
	addNamed(cmd, 0, func(name string, _ []string) error {
		grant.Account = name
		return nil
	})
	flags.BoolVar(&grant.Backend, "backend", false, "a backend's key, for many accounts")
	flags.StringVar(&grant.Prefix, "prefix", "",
		"what the names of a backend's accounts begin with; empty: any; fleet-1 does not include fleet-10")
	scopes := flags.StringSlice("scope", []string{string(authn.ScopeOTP)}, "what the key is for: otp, enroll, unlock, admin; can be repeated")
	expires := durationFlag(flags, "expires-in", "how long the key is good for, such as 30d; left out: until it is revoked")
	completeValues(cmd, "scope", authn.AllScopes().Names()...)
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) (err error) {
		if grant.Scopes, err = authn.ParseScopes(*scopes); err != nil {
			return usageError{fmt.Errorf("--scope: %w", err)}
		}
		at := now()
		var until time.Time
		if *expires != 0 {
			until = at.Add(*expires)
		}
		key, text, err := authn.NewKey(grant, at, until)
		if err != nil {
			return usageError{err}
		}
		if goesNowhere(p.stdout) {
			return usageError{errors.New("standard output goes nowhere, and the key is shown this once: nothing was made")}
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			if err := core.CreateKey(cmd.Context(), otp.Request{Caller: caller}, key); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), text.Reveal()); err != nil {
				return revokeUnseen(cmd.Context(), core, key, err)
			}
			if key.Backend {
				_, _ = fmt.Fprintf(p.stderr, "pimsd: key %s is for %s\n", key.ID, key.Covers())
			} else {
				p.sayIfNew(cmd.Context(), core.OTP, otp.Account(key.Account))
			}
			return nil
		})
	})
}

// goesNowhere reports whether what is written is not kept. The standard output of a process that was started without one
// is the null device.
func goesNowhere(w io.Writer) bool {
	file := fileOf(w)
	if file == nil {
		return false
	}
	info, err := file.Stat()
	null, errNull := os.Stat(os.DevNull)
	return err == nil && errNull == nil && os.SameFile(info, null)
}

// revokeUnseen revokes a key that could not be shown to anyone, and returns an error that names it.
func revokeUnseen(ctx context.Context, core *app.Core, key authn.Key, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	if err := core.RevokeKey(ctx, otp.Request{Caller: caller}, key, now()); err != nil {
		return fmt.Errorf("the key %s was made and cannot be shown: %w; "+
			"it could not be revoked either: revoke it with pimsd key revoke %s: %w",
			key.ID, why, key.ID, err)
	}
	return fmt.Errorf("the key cannot be shown: %w; the key %s, which was made, is revoked", why, key.ID)
}

// revokeTimeout bounds revoking a key that was never shown.
const revokeTimeout = 10 * time.Second

// listedKey is a key in the list. Nothing in it can be used to authenticate.
type listedKey struct {
	ID         string       `json:"id"`
	For        string       `json:"for"`
	Scopes     authn.Scopes `json:"scopes"`
	State      string       `json:"state"`
	CreatedAt  time.Time    `json:"createdAt"`
	ExpiresAt  time.Time    `json:"expiresAt,omitzero"`
	LastUsedAt time.Time    `json:"lastUsedAt,omitzero"`
}

func newKeyList(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys, without their secret parts",
		Long: `List the API keys, without their secret parts. When a key was last used is noted once a minute, and when the service
stops.`,
	}
	asJSON := cmd.Flags().Bool("json", false, "as JSON")
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		return withRecords(cmd, c, func(core *app.Core) error {
			keys, err := core.Store.ListKeys(cmd.Context())
			if err != nil {
				return err
			}
			listed, damaged := []listedKey{}, 0
			for _, key := range keys {
				if key.Damage != "" {
					damaged++
					_, _ = fmt.Fprintf(p.stderr, "pimsd: key %s: %s\n", input.Printable(key.ID), input.Printable(key.Damage))
				}
				listed = append(listed, listedKey{
					key.ID, whomFor(key), key.Scopes, key.State(now()), key.CreatedAt, key.ExpiresAt, key.LastUsedAt,
				})
			}
			if err := show(cmd.OutOrStdout(), *asJSON, listed, printKeys); err != nil || damaged == 0 {
				return err
			}
			return fmt.Errorf("keys that cannot be read, and are good for nothing: %d; revoke them with pimsd key revoke ID", damaged)
		})
	})
}

func whomFor(key authn.Key) string {
	switch {
	case key.Damage != "":
		return "-"
	case !key.Backend:
		return "account " + key.Account
	case key.Prefix == "":
		return "all accounts"
	default:
		return "accounts " + key.Prefix + "…" // as Grant.Covers says
	}
}

func printKeys(w io.Writer, keys []listedKey) error {
	table := newTable(w, "KEY\tFOR\tSCOPES\tSTATE\tCREATED\tEXPIRES\tLAST USED")
	for _, key := range keys {
		printRow(table, key.ID, key.For, strings.Join(key.Scopes.Names(), " "), key.State,
			orDash(key.CreatedAt), orDash(key.ExpiresAt), orDash(key.LastUsedAt))
	}
	return table.Flush()
}

func newKeyRevoke(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a key good for nothing, at once and for ever",
		Long:  `Make a key good for nothing, at once and for ever. Its id is in "pimsd key list", and stands behind pims_ in the key itself.`,
	}
	cmd.Args = atMostOne
	return withConfig(p, cmd, useRecords, func(cmd *cobra.Command, c *config.Config) error {
		id := cmd.Flags().Arg(0)
		if id == "" {
			return usageError{errors.New("the key is missing: name it by its id, as pimsd key list shows it")}
		}
		return withRecords(cmd, c, func(core *app.Core) error {
			keys, err := core.Store.ListKeys(cmd.Context()) // a look-up of one that is damaged would fail
			if err != nil {
				return err
			}
			at := slices.IndexFunc(keys, func(key authn.Key) bool { return key.ID == id })
			if at < 0 {
				return authn.ErrNoKey
			}
			if err := core.RevokeKey(cmd.Context(), otp.Request{Caller: caller}, keys[at], now()); err != nil {
				return err
			}
			if err := core.Store.CheckKeys(cmd.Context()); errors.Is(err, authn.ErrChangesUnnoticed) {
				_, _ = fmt.Fprintf(p.stderr, "pimsd: warning: the key is revoked, but: %v\n", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Key %s is revoked.\n", id)
			return err
		})
	})
}
