package app

import (
	"fmt"
	"syscall"

	"github.com/pimsd/pimsd/internal/config"
)

// How the files that the process may have open are divided. What is not reserved is for the API: for each connection of a caller
// another one to inWebo.
const (
	storeDescriptors = 64 // the database's files, or its connections
	otherDescriptors = 32 // log, listeners, certificates, keys of issuers, traces
	opsConnections   = 32

	reservedDescriptors  = storeDescriptors + otherDescriptors + opsConnections
	leastAPIConnections  = 16
	leastDescriptors     = reservedDescriptors + 2*leastAPIConnections
	connectionsPerPlace  = 4 // of the API, for each call that may be in flight or wait
	connectionsWorthMore = 1024
)

// apiConnections is how many connections the API's listener may have when the process may have so many files open.
func apiConnections(openFiles uint64, load config.Overload, administered bool) (int, error) {
	reserved, least := uint64(reservedDescriptors), uint64(leastDescriptors)
	if administered {
		reserved, least = reserved+adminConnections, least+adminConnections
	}
	if openFiles < least {
		return 0, fmt.Errorf("this process may have %d files open, and the service needs %d at least: raise the limit with `ulimit -n`, "+
			"or LimitNOFILE in a unit of systemd", openFiles, least)
	}
	useful := max(connectionsWorthMore, connectionsPerPlace*(load.InFlight+load.Waiting))
	return int(min((openFiles-reserved)/2, uint64(useful))), nil
}

// openFileLimit is how many files this process may have open. The soft limit is the hard one: package os raises it at the start of
// every Go program.
func openFileLimit() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("find out how many files may be open: %w", err)
	}
	return limit.Cur, nil
}
