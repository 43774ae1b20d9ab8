package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/telemetry"
)

// ReportTo has the service tell a service manager when it serves, stops, and that it lives. It is called before Run.
func (a *App) ReportTo(manager *telemetry.ServiceManager) { a.manager = manager }

// tell passes a message on. That it was not taken is no reason not to serve, and worth a line.
func (a *App) tell(err error) {
	if err != nil {
		a.logger.Warn("the service manager did not take a message", zap.Error(err))
	}
}

// beAlive tells the service manager again and again that the service lives, which it proves by asking itself: a service
// whose listener does not answer any more says nothing, and is started again.
func (a *App) beAlive(ctx context.Context) {
	interval := a.manager.Interval()
	if interval == 0 {
		return
	}
	client := &http.Client{Timeout: interval, Transport: &http.Transport{DisableKeepAlives: true}}
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		if err := a.askItself(ctx, client); err != nil && ctx.Err() == nil {
			a.logger.Error("the operators' listener does not answer: the watchdog is not told that the service lives", zap.Error(err))
		} else {
			a.tell(a.manager.Alive())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

func (a *App) askItself(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.ops.loopback()+"/livez", nil)
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
