package app

import (
	"context"
	"errors"
	"io"

	"go.uber.org/zap"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// Maintenance is a service that opens no store and takes no calls: it answers each with code 2001. While it runs, commands
// that need the service to be stopped can be run where the service runs, with its user, settings and volumes, and the
// supervisor of the process has nothing to restart.
type Maintenance struct{ app *App }

var errMaintenance = errors.New("the service is in maintenance and takes no calls: set maintenance to no and restart it when the " +
	"repair is done")

// NewMaintenance binds both listeners; nothing is answered before Run. The log goes to w.
func NewMaintenance(ctx context.Context, c *config.Config, w io.Writer) (_ *Maintenance, err error) {
	log, err := newLog(c, w)
	if err != nil {
		return nil, err
	}
	a := &App{config: c, log: log, logger: log.Logger, metrics: telemetry.NewMetrics(Build().Version, codes())}
	a.lines = newRequestLines(a.logger)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closers.all())
			log.Flush()
		}
	}()
	if a.sockets, err = bindSockets(ctx, c); err != nil {
		return nil, err
	}
	a.closers.push("sockets", a.sockets.close)
	a.metrics.ExpectPanics(tasks()...)
	a.metrics.WatchLog(log.Dropped)
	ready := func(context.Context) error { return errMaintenance }
	if err := a.listenOps(a.metrics, telemetry.OpsHandler(a.metrics, telemetry.Check{Name: "maintenance", Ready: ready})); err != nil {
		return nil, err
	}
	listener := api.Config{
		Observer: requestObserver{
			a.logger, a.metrics, newDeniedCallers(nil, a.logger, a.metrics), a.metrics.WatchThrottles(throttles()), a.lines,
		},
		Contract: openapi.Document(), TrustedProxies: c.HTTP.TrustedProxies,
	}
	a.callerAPI = api.New(listener)
	if err := a.listenAPI(a.metrics); err != nil {
		return nil, err
	}
	if err := a.openAdmin(listener, nil, nil); err != nil {
		return nil, err
	}
	a.drain()
	return &Maintenance{a}, nil
}

// ReportTo has the service tell a service manager how it stands. It is called before Run.
func (m *Maintenance) ReportTo(manager *telemetry.ServiceManager) { m.app.ReportTo(manager) }

// Reload reads again what can change while the service runs: the certificate.
func (m *Maintenance) Reload() { m.app.Reload() }

// Run answers until ctx ends or a listener fails.
func (m *Maintenance) Run(ctx context.Context) error {
	a := m.app
	failed := make(chan error, 3)
	a.inBackground(ctx, taskRequestLines, a.lines.run)
	a.serveInBackground(a.ops, failed)
	a.serveCallers(failed)
	a.logger.Warn(errMaintenance.Error(), zap.String("listen", a.APIAddress()), zap.String("ops", a.OpsAddress()))
	a.logManagerError(a.manager.Ready("in maintenance"))
	if a.certificate != nil {
		a.inBackground(ctx, taskCertificate, a.certificate.run)
	}
	a.inBackground(ctx, taskWatchdog, a.watchdog)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.logManagerError(a.manager.Stopping("in maintenance"))
	err = errors.Join(err, a.closers.all())
	a.logger.Info("stopped", zap.Error(err))
	a.log.Flush()
	return err
}
