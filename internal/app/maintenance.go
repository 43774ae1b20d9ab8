package app

import (
	"context"
	"errors"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/telemetry"
)

var errMaintenance = errors.New("the service is in maintenance and takes no calls: set maintenance to no and restart it when the " +
	"repair is done")

// openMaintenance opens the listeners of a service in maintenance.
func (a *App) openMaintenance() error {
	ready := func(context.Context) error { return errMaintenance }
	if err := a.listenOps(telemetry.OpsHandler(a.metrics, telemetry.Check{Name: "maintenance", Ready: ready})); err != nil {
		return err
	}
	listener := api.Config{
		Observer: requestObserver{
			a.logger, a.metrics, newDeniedCallers(nil, a.logger, a.metrics), a.metrics.WatchThrottles(throttles()), a.lines,
		},
		Contract: openapi.Document(), TrustedProxies: a.config.HTTP.TrustedProxies,
	}
	if err := a.listenAPI(api.New(listener)); err != nil {
		return err
	}
	if err := a.openAdmin(listener, nil, nil); err != nil {
		return err
	}
	a.drain()
	return nil
}
