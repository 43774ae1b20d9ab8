package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/config"
)

// healthTimeout is what a container's health check may take.
const healthTimeout = 3 * time.Second

func newHealth(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the running service of this machine whether it lives",
		Long:  "Ask /livez on the operators' listener. It is made for the health check of a container: exit status 0 says alive.",
	}
	return withConfig(p, cmd, func(cmd *cobra.Command, c *config.Config) error {
		client := &http.Client{Timeout: healthTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://"+reachable(c.Ops.Listen)+"/livez", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("nothing answers at ops.listen: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers with HTTP %d", c.Ops.Listen, response.StatusCode)
		}
		_, err = io.Copy(cmd.OutOrStdout(), io.LimitReader(response.Body, maxHealth))
		return err
	})
}

// maxHealth bounds what is shown of the answer.
const maxHealth = 1 << 10

// reachable is the address at which a listener on every interface is found on this machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
