package crashtest_test

import (
	"context"
	"time"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebo"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
	"github.com/pimsd/pimsd/internal/testkit/storetest"
)

// earlyStore is a store with the mistake that crash tests are there to find: it says that a write is durable, and makes it so
// a little later, when it is asked for something else.
type earlyStore struct {
	otp.Store

	due func() error
}

func (h *earlyStore) Replace(ctx context.Context, w otp.Write) error {
	err := h.catchUp()
	h.due = func() error { return h.Store.Replace(context.WithoutCancel(ctx), w) }
	return err
}

func (h *earlyStore) Fetch(ctx context.Context, account otp.Account) (otp.Row, time.Time, error) {
	if err := h.catchUp(); err != nil {
		return otp.Row{}, time.Time{}, err
	}
	return h.Store.Fetch(ctx, account)
}

func (h *earlyStore) Update(
	ctx context.Context, account otp.Account, key string, decide func(otp.Snapshot) otp.Decision,
) (otp.Decision, error) {
	return otp.UpdateInSteps(ctx, func(ctx context.Context) (otp.Snapshot, error) {
		if err := h.catchUp(); err != nil {
			return otp.Snapshot{}, err
		}
		return storetest.Snapshot(ctx, h.Store, account, key)
	}, h, decide)
}

func (h *earlyStore) catchUp() error {
	due := h.due
	h.due = nil
	if due == nil {
		return nil
	}
	return due()
}

// startHasty starts the domain on a hasty store.
func startHasty(ctx context.Context, c *config.Config) (*issuer, error) {
	core, err := app.OpenCore(ctx, c, true, app.Observers{})
	if err != nil {
		return nil, err
	}
	client := inwebo.New(inwebo.Config{
		BaseURL: c.Inwebo.URL, Path: c.Inwebo.Path, MacID: c.Inwebo.MacID, Version: c.Inwebo.Version, UserAgent: c.Inwebo.UserAgent,
		DeviceName: c.Inwebo.DeviceName, Language: c.Inwebo.Language,
		ExchangeTimeout: c.Inwebo.ExchangeTimeout, DialTimeout: c.Inwebo.DialTimeout,
	})
	core.OTP = otp.New(seal.New(&earlyStore{Store: core.Store}, core.Keyring), client, otp.Limits{
		Deadline: c.Conversation.Deadline, StoreTimeout: 5 * time.Second, FinalizeTimeout: c.Inwebo.ExchangeTimeout,
	}, nil)
	return &issuer{
		Core: core,
		ask: func(ctx context.Context) (string, error) {
			given, err := core.OTP.IssueOTP(ctx, otp.Request{Account: account, Caller: "test"}, secret.NewText(pin))
			return given.OTP.Reveal(), err
		},
		stop: func() error { return core.Close() },
	}, nil
}
