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

// parseNeed returns which accounts have the need of that name.
func parseNeed(name string) (isWanted func(otp.Status) bool, err error) {
	need := otp.Need(name)
	if !slices.Contains(otp.AllNeeds(), need) {
		return nil, usageError{fmt.Errorf("--needs: use one of %s", strings.Join(needNames(), ", "))}
	}
	return func(status otp.Status) bool { return slices.Contains(status.Needs(), need) }, nil
}
