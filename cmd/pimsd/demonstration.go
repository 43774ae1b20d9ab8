package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// demonstration calls the service as a backend would.
type demonstration struct {
	api, simulator string // base URLs
	key            secret.Text
}

// demonstrationTimeout bounds the call; on loopback nothing takes long.
const demonstrationTimeout = 30 * time.Second

const demoBody = `{"action":"withPIN","pinCode":"` + demoPIN + `"}`

// askOTP posts the request of docs/contract.md §1.
func (d demonstration) askOTP(ctx context.Context) (secret.Text, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.api+"/v1/authentication/otp", strings.NewReader(demoBody))
	if err != nil {
		return secret.Text{}, err
	}
	request.Header.Set("Authorization", "Bearer "+d.key.Reveal())
	request.Header.Set("Content-Type", "application/json")
	var answer struct {
		Result struct {
			OTP string `json:"otp"`
		} `json:"result"`
		Error struct {
			Code  int    `json:"code"`
			Label string `json:"label"`
		} `json:"error"`
	}
	client := &http.Client{Timeout: demonstrationTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err == nil {
		err = errors.Join(json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&answer), response.Body.Close())
	}
	switch {
	case err != nil:
		return secret.Text{}, fmt.Errorf("ask the service for an OTP: %w", err)
	case answer.Result.OTP == "":
		return secret.Text{}, fmt.Errorf("the service answered %d, %s", answer.Error.Code, answer.Error.Label)
	}
	return secret.NewText(answer.Result.OTP), nil
}

// curl is the command line that does what askOTP does.
func (d demonstration) curl() string {
	return fmt.Sprintf("  curl -s %s/v1/authentication/otp -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'",
		d.api, d.key.Reveal(), demoBody)
}

// verifyLine is the command line by which a relying party has an OTP verified (docs/protocol.md §8). It is good once.
func (d demonstration) verifyLine() string {
	return fmt.Sprintf("  curl -s '%s/FS?action=authenticateExtended&serviceId=1&userId=%s&format=json&token=OTP'", d.simulator, demoAccount)
}
