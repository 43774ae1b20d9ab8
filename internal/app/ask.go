package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/config"
)

// askTimeout bounds the question what answers at the operators' address.
const askTimeout = 3 * time.Second

// OperatorsAnswer is what answered at the operators' address.
type OperatorsAnswer struct {
	Address  string   // where it was asked
	Status   int      // of HTTP
	DataDir  string   // of the service, as ShownDataDir returns it; empty: it is no pimsd
	Database string   // of the service, as databaseName returns it
	Starts   bool     // it opens its store, and takes no calls yet
	Listens  []string // the addresses of its listeners
}

// IsOf reports whether the service that answered uses the configuration's store.
func (a OperatorsAnswer) IsOf(c *config.Config) bool {
	return a.DataDir != "" && a.Database == databaseName(c) && (a.Database != "" || a.DataDir == ShownDataDir(c))
}

// hasPort reports whether the service that answered listens at the port of an address.
func (a OperatorsAnswer) hasPort(address string) bool {
	_, port, _ := net.SplitHostPort(address)
	return slices.ContainsFunc(a.Listens, func(own string) bool { return strings.HasSuffix(own, ":"+port) })
}

// AskOperators asks /livez at the operators' address of the configuration. An error means that nothing answered.
func AskOperators(ctx context.Context, c *config.Config) (OperatorsAnswer, error) {
	client := &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	address := reachable(c.Ops.Listen)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/livez", http.NoBody)
	if err != nil {
		return OperatorsAnswer{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return OperatorsAnswer{}, fmt.Errorf("nothing answers at ops.listen: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return OperatorsAnswer{
		Address: address, Status: response.StatusCode, DataDir: response.Header.Get(DataDirHeader),
		Database: response.Header.Get(databaseHeader),
		Starts:   response.Header.Get(startsHeader) != "", Listens: strings.Fields(response.Header.Get(listensHeader)),
	}, nil
}

// reachable returns the address at which a listener on every interface is found on this machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
