package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/otp"
)

func needNames() (names []string) {
	for _, need := range otp.AllNeeds() {
		names = append(names, string(need))
	}
	return names
}

// parseNeed returns which accounts have the need; without a name, all are wanted.
func parseNeed(name string) (isWanted func(otp.Status) bool, err error) {
	switch need := otp.Need(name); {
	case name == "":
		return func(otp.Status) bool { return true }, nil
	case slices.Contains(otp.AllNeeds(), need):
		return func(status otp.Status) bool { return slices.Contains(status.Needs(), need) }, nil
	default:
		return nil, usageError{fmt.Errorf("--needs: use one of %s", strings.Join(needNames(), ", "))}
	}
}
