package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pimsd/pimsd/internal/secret"
)

// demonstration calls the service as a backend would, and the simulator as a relying party would.
type demonstration struct {
	api, simulator string // base URLs
	key            secret.Text
}

// demonstrationTimeout bounds one call of a demonstration; on loopback nothing takes long.
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
	if err := call(request, &answer); err != nil {
		return secret.Text{}, fmt.Errorf("ask the service for an OTP: %w", err)
	}
	if answer.Result.OTP == "" {
		return secret.Text{}, fmt.Errorf("the service answered %d, %s", answer.Error.Code, answer.Error.Label)
	}
	return secret.NewText(answer.Result.OTP), nil
}

// verify asks the simulator whether the OTP is good (docs/protocol.md §8). It is good once.
func (d demonstration) verify(ctx context.Context, otp secret.Text) error {
	query := url.Values{
		"action": {"authenticateExtended"}, "serviceId": {"1"}, "userId": {demoAccount}, "token": {otp.Reveal()}, "format": {"json"},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.simulator+"/FS?"+query.Encode(), nil)
	if err != nil {
		return errors.New("the address of the simulator is no URL")
	}
	var answer struct {
		Err string `json:"err"`
	}
	if err := call(request, &answer); err != nil {
		return fmt.Errorf("ask the simulator to verify: %w", err)
	}
	if answer.Err != "OK" {
		return fmt.Errorf("the simulator does not accept the OTP: %s", answer.Err)
	}
	return nil
}

// call makes a request and reads its JSON. Its errors do not carry the URL, which may hold an OTP.
func call(request *http.Request, answer any) error {
	client := &http.Client{Timeout: demonstrationTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		return withURL.Err
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(answer)
}

// curl is the command line that does what askOTP does.
func (d demonstration) curl() string {
	return fmt.Sprintf("  curl -s %s/v1/authentication/otp -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'",
		d.api, d.key.Reveal(), demoBody)
}

// verifyLine is the command line that does what verify does.
func (d demonstration) verifyLine() string {
	return fmt.Sprintf("  curl -s '%s/FS?action=authenticateExtended&serviceId=1&userId=%s&format=json&token=OTP'", d.simulator, demoAccount)
}
