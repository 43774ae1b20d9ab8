package app

import (
	"context"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/telemetry"
)

// ReportTo makes the service report to a service manager that it serves, works and stops. It must be called before Run.
func (a *App) ReportTo(manager *telemetry.ServiceManager) { a.manager = manager }

// logManagerError logs that the service manager did not accept a message. The service goes on.
func (a *App) logManagerError(err error) {
	if err != nil {
		a.logger.Warn("the service manager did not take a message", zap.Error(err))
	}
}

// watchdog tells the service manager at each interval that the service works, after a request to its own listener for operators was
// answered. A service that no longer answers sends nothing, and the manager restarts it.
func (a *App) watchdog(ctx context.Context) {
	interval := a.manager.Interval()
	if interval == 0 {
		return
	}
	client := &http.Client{Timeout: interval, Transport: &http.Transport{DisableKeepAlives: true}}
	every(ctx, interval, func(ctx context.Context) {
		if err := a.probeSelf(ctx, client); err != nil && ctx.Err() == nil {
			a.logger.Error("the operators' listener does not answer: the watchdog is not told that the service lives", zap.Error(err))
		} else {
			a.logManagerError(a.manager.Alive())
		}
	})
}

func (a *App) probeSelf(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(a.OpsAddress())+"/livez", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	return nil
}
