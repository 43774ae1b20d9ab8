package crashtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

const (
	account = "alice"
	pin     = "1234"
)

// settings are those of the daemon, and of who looks after its store. The times are as short as a busy machine allows.
func settings(dir, inwebo string) (*config.Config, error) {
	c := config.Default()
	c.Listen, c.Ops.Listen, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	c.Quota.OTPsPerDay, c.Guard.Attempts = 0, 0
	c.Conversation.Deadline, c.Conversation.QueueWait = 4*time.Second, time.Second
	c.Inwebo.ExchangeTimeout, c.Inwebo.DialTimeout = 1500*time.Millisecond, 1500*time.Millisecond
	c.Stop.SettleAllowance = 0
	var err error
	c.Inwebo.URL, err = url.Parse(inwebo)
	return c, err
}

// issuer is what a child asks for OTPs.
type issuer struct {
	*app.Core

	ask  func(ctx context.Context) (otp string, err error)
	stop func() error
}

// report tells the world something, in a line.
func report(what string, about any) { fmt.Println(what, about) }

// What a child reports.
const (
	reportEnrolling = "enrolling" // and how many OTPs are to come
	reportEnrolled  = "enrolled"  // and the ratchet step
	reportOTP       = "otp"       // and the OTP
)

// issue is the child: it makes its store, enrolls a device, asks for OTPs, and reports what it gets. Its arguments are the
// data directory, inWebo's URL, and how many OTPs. Two failures in a row end it at once, as a crash would.
func issue(ctx context.Context, args []string, start func(context.Context, *config.Config) (*issuer, error)) error {
	c, err := settings(args[0], args[1])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	service, err := start(ctx, c)
	if err != nil {
		return err
	}
	report(reportEnrolling, count)
	step, err := enroll(ctx, service.Core)
	if err != nil {
		return err
	}
	report(reportEnrolled, step)
	var failure error
	for count > 0 {
		text, err := service.ask(ctx)
		switch {
		case err == nil:
			report(reportOTP, text)
			count--
		case failure != nil:
			return errors.Join(failure, err)
		}
		failure = err
	}
	return service.stop()
}

// enroll enrolls the account's device, or waits until the one that it has is free. It returns the ratchet step.
func enroll(ctx context.Context, core *app.Core) (step uint64, err error) {
	status, err := untilFree(ctx, core, time.Sleep)
	if err != nil || status.State != otp.StateNotEnrolled {
		return status.Step, err
	}
	_, err = core.OTP.Enroll(ctx, otp.Request{Account: account, Caller: "test"}, otp.EnrollRequest{
		SMSCode: secret.NewText(inwebosim.DefaultCode), PIN: secret.NewText(pin),
	})
	if err != nil {
		return 0, err
	}
	status, err = core.OTP.Status(ctx, account)
	return status.Step, err
}

// untilFree waits until no conversation has leased the account's device, and returns its status.
func untilFree(ctx context.Context, core *app.Core, wait func(time.Duration)) (otp.Status, error) {
	for {
		status, err := core.OTP.Status(ctx, account)
		if err != nil || status.State != otp.StateLeased {
			return status, err
		}
		wait(100 * time.Millisecond)
	}
}

// startDaemon starts the daemon as the command does.
func startDaemon(ctx context.Context, c *config.Config) (*issuer, error) {
	a, err := app.New(ctx, c, os.Stderr)
	if err != nil {
		return nil, err
	}
	key, text, err := authn.NewKey(authn.Grant{Account: account}, time.Now(), time.Time{})
	if err != nil {
		return nil, err
	}
	if err := a.Store.AddKey(ctx, key); err != nil {
		return nil, err
	}
	running, interrupt := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	return &issuer{
		Core: a.Core,
		ask:  func(ctx context.Context) (string, error) { return post(ctx, a.APIAddress(), text.Reveal()) },
		stop: func() error {
			interrupt()
			return <-ended
		},
	}, nil
}

// post makes the main call (docs/contract.md §1).
func post(ctx context.Context, address, key string) (string, error) {
	body := bytes.NewReader([]byte(`{"action":"withPIN","pinCode":"` + pin + `"}`))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/authentication/otp", body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Result struct{ OTP string }
		Error  struct{ Label string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if answer.Result.OTP == "" {
		return "", errors.New(answer.Error.Label)
	}
	return answer.Result.OTP, nil
}
