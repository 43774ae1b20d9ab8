// Package app assembles pimsd: it builds the parts in order, binds the listeners, serves, runs the background tasks, and stops
// everything in reverse.
//
// It must not decide what an answer means, which caller is entitled, or what is stored: the packages below it do. Commands use it to
// open the same store and domain that the service has.
package app

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// App is a running pimsd. New binds its listeners, Run serves and stops.
type App struct {
	*Core

	config      *config.Config
	log         *telemetry.Log
	logger      *zap.Logger // of log
	metrics     *telemetry.Metrics
	callerAPI   *api.API
	keys        *authn.Keys
	tokens      *authn.Tokens // nil: no issuer is trusted
	denied      *deniedCallers
	lines       *requestLines
	keyring     *keyringWatch
	watched     *storeWatch
	certificate *certificate // nil: no TLS
	api, ops    *listener

	adminAPI *api.API // nil: administration has no listener
	admin    *listener

	closers  closers
	stopping atomic.Bool
	sockets  sockets
	manager  *telemetry.ServiceManager // nil when there is none

	setAccountStats func(telemetry.AccountStats)
	accountStats    atomic.Pointer[telemetry.AccountStats] // nil: accounts are not counted yet
}

// New binds both listeners and then builds everything. While it opens the store, operators are told that the service is not ready, and
// callers are refused; nothing else is answered before Run. The log goes to w. What it opened is closed again when it fails.
func New(ctx context.Context, c *config.Config, w io.Writer) (_ *App, err error) {
	log, err := newLog(c, w)
	if err != nil {
		return nil, err
	}
	logger := log.Logger
	a := &App{config: c, log: log, logger: logger, lines: newRequestLines(logger)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closers.all())
			log.Flush()
		}
	}()
	if err = checkBefore(ctx, c); err != nil {
		return nil, err
	}
	if a.sockets, err = bindSockets(ctx, c); err != nil {
		return nil, err
	}
	a.closers.push("sockets", a.sockets.close)
	metrics := telemetry.NewMetrics(Build().Version, codes())
	metrics.ExpectPanics(tasks()...)
	a.metrics = metrics
	if err = a.openCore(ctx, metrics); err != nil {
		return nil, err
	}
	metrics.WatchLog(log.Dropped)
	a.keyring = newKeyringWatch(a.Core, logger)
	metrics.WatchSealingKeys(a.keyring.usable)
	a.watched = newStoreWatch(a.Store, metrics, logger)
	metrics.WatchUnreadAnswers(a.Store.CountUnreadAnswers)
	a.denied = newDeniedCallers(a.Store, logger, metrics)
	metrics.ExpectRefusedCallers(lineRecorded, lineDropped, lineFailed)
	a.setAccountStats = metrics.WatchAccountStats(conditions())
	if err = a.openOps(metrics); err != nil {
		return nil, err
	}
	if err = a.openAPI(ctx, metrics); err != nil {
		return nil, err
	}
	return a, nil
}

// openCore opens the store and the domain on it.
func (a *App) openCore(ctx context.Context, metrics *telemetry.Metrics) (err error) {
	stop, err := a.answerWhileStarting(metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if a.Core, err = OpenCore(ctx, a.config, true, observeMetrics(metrics, a.logger)); err != nil {
		return err
	}
	a.closers.push("store", a.Core.Close)
	return nil
}

// codes are the labels that an OTP request can be counted under.
func codes() []string {
	all := []string{errcodes.OK.String()}
	for _, entry := range errcodes.All() {
		all = append(all, entry.Code.String())
	}
	return all
}

// Reload reads again what can change while the service runs: the certificate.
func (a *App) Reload() {
	if a.certificate != nil {
		a.certificate.reloadNow()
	}
}

// FlushLog waits, for a moment, until what was logged before is written.
func (a *App) FlushLog() { a.log.Flush() }

// APIAddress is the host:port where the API is served.
func (a *App) APIAddress() string { return a.api.address() }

// AdminAddress is the host:port where administration is served; empty when it is not.
func (a *App) AdminAddress() string {
	if a.admin == nil {
		return ""
	}
	return a.admin.address()
}

// OpsAddress is the host:port of the operators' listener.
func (a *App) OpsAddress() string { return a.ops.address() }

// Run serves until ctx ends or a listener fails, and then stops: it returns when nothing of the service runs any more.
func (a *App) Run(ctx context.Context) error {
	failed := make(chan error, 3)
	a.inBackground(ctx, taskIssuerKeys, a.warmTokens)
	a.inBackground(ctx, taskHousekeeping, a.cleanup)
	a.inBackground(ctx, taskRefusedCallers, a.denied.run)
	a.inBackground(ctx, taskRequestLines, a.lines.run)
	a.inBackground(ctx, taskKeyUses, a.followKeys)
	a.inBackground(ctx, taskSealingKeys, a.keyring.run)
	a.inBackground(ctx, taskStoreWatch, a.watched.run)
	if a.certificate != nil {
		a.inBackground(ctx, taskCertificate, a.certificate.run)
	}
	a.inBackground(ctx, taskAccountStats, a.collectAccountStats)
	a.serveInBackground(a.ops, failed)
	a.serveCallers(failed)
	build := Build()
	a.logger.Info("serving", zap.String("version", build.Version), zap.String("revision", build.Revision),
		zap.String("listen", a.APIAddress()), zap.String("ops", a.OpsAddress()), zap.String("admin", a.AdminAddress()))
	a.logManagerError(a.manager.Ready("serving at " + a.APIAddress()))
	a.inBackground(ctx, taskWatchdog, a.watchdog)
	select {
	case <-ctx.Done():
		return a.stop(nil)
	case err := <-failed:
		return a.stop(err)
	}
}

// serveCallers answers at the listeners that callers reach.
func (a *App) serveCallers(failed chan<- error) {
	a.serveInBackground(a.api, failed)
	if a.admin != nil {
		a.serveInBackground(a.admin, failed)
	}
}

// closeConnections makes every answer to callers the last one of its connection.
func (a *App) closeConnections() {
	a.callerAPI.CloseConnections()
	if a.adminAPI != nil {
		a.adminAPI.CloseConnections()
	}
}

// drain makes every call from now on answer that the service is stopping.
func (a *App) drain() {
	a.callerAPI.Drain()
	if a.adminAPI != nil {
		a.adminAPI.Drain()
	}
}

// StillStopping logs, for the operator that stops the service, what it waits for.
func (a *App) StillStopping() {
	a.logger.Info("told to stop: waiting for conversations with inWebo to be stored; killed now, their devices would be in doubt")
}

// stop goes through the end in its order: readiness fails, then new requests are refused while conversations end, then
// the listeners close.
func (a *App) stop(why error) error {
	a.stopping.Store(true)
	a.logger.Info("stopping", zap.Error(why))
	a.logManagerError(a.manager.Stopping("waiting for conversations with inWebo to end"))
	a.closeConnections()
	if why == nil {
		time.Sleep(a.config.Stop.DrainDelay)
	}
	a.drain()
	a.OTP.Refuse()
	limit, cancel := context.WithDeadline(context.Background(), a.OTP.LastDeadline().Add(a.config.Stop.SettleAllowance))
	defer cancel()
	for _, account := range a.OTP.Drain(limit) {
		a.logger.Error("gave up storing how a conversation ended: the device is in doubt", zap.String("account", string(account)))
	}
	err := errors.Join(why, a.closers.all())
	a.logger.Info("stopped", zap.Error(err))
	a.log.Flush()
	return err
}
