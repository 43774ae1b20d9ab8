package main

import (
	"fmt"
	"strings"

	"github.com/pimsd/pimsd/internal/otp"
)

// need is something that an account needs from an operator.
type need struct {
	name string
	is   func(otp.Status) bool
}

func needs() []need {
	return []need{
		{"enrollment", func(s otp.Status) bool { return !s.Activated }},
		{"unlock", func(s otp.Status) bool { return s.PINLocked }},
		{"doubt", func(s otp.Status) bool { return s.InDoubt }},
		{"sms", func(s otp.Status) bool { return s.FewLeft }},
	}
}

func needNames() (names []string) {
	for _, need := range needs() {
		names = append(names, need.name)
	}
	return names
}

// parseNeed returns which accounts have the need; without a name, all are wanted.
func parseNeed(name string) (isWanted func(otp.Status) bool, err error) {
	if name == "" {
		return func(otp.Status) bool { return true }, nil
	}
	for _, need := range needs() {
		if need.name == name {
			return need.is, nil
		}
	}
	return nil, usageError{fmt.Errorf("--needs: use one of %s", strings.Join(needNames(), ", "))}
}
