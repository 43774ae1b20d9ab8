package app

import (
	"context"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/sqlite"
)

// epochWatch logs that the doubt epoch of the store was raised: by another process, or by the store itself after a promotion.
type epochWatch struct {
	store interface {
		Epoch(ctx context.Context) (otp.Epoch, error)
	}
	logger *zap.Logger

	logged uint64 // the last epoch that was logged; only run uses it
}

// run looks every storeWatchInterval until ctx ends.
func (w *epochWatch) run(ctx context.Context) { every(ctx, storeWatchInterval, w.check) }

// check logs each epoch once per start of the service, except the first epoch, which no cause has raised. It logs nothing when the
// store cannot be read, which readiness reports.
func (w *epochWatch) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	epoch, err := w.store.Epoch(ctx)
	if err != nil || epoch.Number <= max(1, w.logged) {
		return
	}
	w.logged = epoch.Number
	fields := []zap.Field{zap.Uint64("epoch", epoch.Number), zap.String("cause", epoch.Cause), zap.Time("since", epoch.Since)}
	if epoch.Cause == sqlite.ActionOlder {
		fields = append(fields, zap.String("advice", "an older store "+adviceOnOlder))
	}
	w.logger.Warn("the doubt epoch was raised: each device is in doubt until inWebo accepts its next proof", fields...)
}

// adviceOnOlder is what follows from an older store that was put in the place of the newer one.
const adviceOnOlder = "leaves each account one guess of its PIN until inWebo accepts one, because what was counted since is not known: " +
	"disable accounts that were locked (pimsd account disable), revoke again the API keys that were revoked since (pimsd key list), and " +
	"count the SMS activations since (pimsd account sms ACCOUNT --used N)"

// number returns the doubt epoch of the store, for the metric.
func (w *epochWatch) number(ctx context.Context) (int, error) {
	epoch, err := w.store.Epoch(ctx)
	return int(epoch.Number), err
}
