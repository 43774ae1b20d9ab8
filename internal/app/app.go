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
	*Core // nil in maintenance

	config      *config.Config
	log         *telemetry.Log
	logger      *zap.Logger // of log
	metrics     *telemetry.Metrics
	apis        []*api.API // that callers reach: the API, and administration where it has a listener
	keys        *authn.Keys
	tokens      *authn.Tokens // nil: no issuer is trusted
	denied      *deniedCallers
	lines       *requestLines
	keyring     *keyringWatch
	watched     *storeWatch
	certificate *certificate // nil: no TLS
	api, ops    *listener

	admin *listener // nil: administration has none

	closers  closers
	stopping atomic.Bool
	sockets  sockets
	manager  *telemetry.ServiceManager // nil when there is none

	setAccountStats func(telemetry.AccountStats)
	accountStats    atomic.Pointer[telemetry.AccountStats] // nil: accounts are not counted yet
}

// New binds the listeners and then builds everything. While it opens the store, operators are told that the service is not ready, and
// callers are refused; nothing else is answered before Run. The log goes to w. What it opened is closed again when it fails.
//
// In maintenance, the service opens no store and takes no calls: it answers each with code 2001. While it runs, commands that need the
// service to be stopped can be run where the service runs, with its user, settings and volumes, and the supervisor of the process has
// nothing to restart.
func New(ctx context.Context, c *config.Config, w io.Writer) (_ *App, err error) {
	log, err := newLog(c, w)
	if err != nil {
		return nil, err
	}
	a := &App{
		config: c, log: log, logger: log.Logger, lines: newRequestLines(log.Logger), metrics: telemetry.NewMetrics(Build().Version, codes()),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closers.all())
			log.Flush()
		}
	}()
	if !c.Maintenance {
		if err = checkBefore(ctx, c); err != nil {
			return nil, err
		}
	}
	if a.sockets, err = bindSockets(ctx, c); err != nil {
		return nil, err
	}
	a.closers.push("sockets", a.sockets.close)
	a.metrics.ExpectPanics(taskOperators, taskListener)
	a.metrics.WatchLog(log.Dropped)
	if c.Maintenance {
		err = a.openMaintenance()
	} else {
		err = a.openService(ctx)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// openService opens the store, and the listeners for what is built on it.
func (a *App) openService(ctx context.Context) error {
	metrics, logger := a.metrics, a.logger
	if err := a.openCore(ctx); err != nil {
		return err
	}
	a.keyring = newKeyringWatch(a.Core, logger)
	metrics.WatchSealingKeys(a.keyring.usable)
	a.watched = newStoreWatch(a.Store, metrics, logger)
	metrics.WatchUnreadAnswers(a.Store.CountUnreadAnswers)
	a.denied = newDeniedCallers(a.Store, logger, metrics)
	metrics.ExpectRefusedCallers(lineRecorded, lineDropped, lineFailed)
	a.setAccountStats = metrics.WatchAccountStats(conditions())
	if err := a.openOps(); err != nil {
		return err
	}
	return a.openAPI(ctx)
}

// openCore opens the store and the domain on it.
func (a *App) openCore(ctx context.Context) (err error) {
	stop, err := a.answerWhileStarting()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if a.Core, err = OpenCore(ctx, a.config, true, observeMetrics(a.metrics, a.logger)); err != nil {
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
	a.inBackground(ctx, "request_lines", a.lines.run)
	if a.certificate != nil {
		a.inBackground(ctx, "certificate", a.certificate.run)
	}
	if a.Core != nil {
		a.inBackground(ctx, "issuer_keys", a.warmTokens)
		a.inBackground(ctx, "housekeeping", a.cleanup)
		a.inBackground(ctx, "refused_callers", a.denied.run)
		a.inBackground(ctx, "key_uses", a.followKeys)
		a.inBackground(ctx, "sealing_keys", a.keyring.run)
		a.inBackground(ctx, "store_watch", a.watched.run)
		a.inBackground(ctx, "census", a.collectAccountStats)
	}
	a.serveInBackground(a.ops, failed)
	a.serveInBackground(a.api, failed)
	if a.admin != nil {
		a.serveInBackground(a.admin, failed)
	}
	a.logServing()
	a.inBackground(ctx, "watchdog", a.watchdog)
	select {
	case <-ctx.Done():
		return a.stop(nil)
	case err := <-failed:
		return a.stop(err)
	}
}

// logServing logs that the service serves, and tells it to the service manager.
func (a *App) logServing() {
	build := Build()
	fields := []zap.Field{
		zap.String("version", build.Version), zap.String("revision", build.Revision),
		zap.String("listen", a.APIAddress()), zap.String("ops", a.OpsAddress()), zap.String("admin", a.AdminAddress()),
	}
	if a.Core == nil {
		a.logger.Warn(errMaintenance.Error(), fields...)
		a.logManagerError(a.manager.Ready("in maintenance"))
		return
	}
	a.logger.Info("serving", fields...)
	a.logManagerError(a.manager.Ready("serving at " + a.APIAddress()))
}

// drain makes every call from now on answer that the service is stopping.
func (a *App) drain() {
	for _, one := range a.apis {
		one.Drain()
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
	if a.Core == nil {
		a.logManagerError(a.manager.Stopping("in maintenance"))
	} else {
		a.logManagerError(a.manager.Stopping("waiting for conversations with inWebo to end"))
		a.endConversations(why)
	}
	err := errors.Join(why, a.closers.all())
	a.logger.Info("stopped", zap.Error(err))
	a.log.Flush()
	return err
}

// endConversations refuses new calls, after a delay unless a listener has failed, and waits until those under way are stored.
func (a *App) endConversations(why error) {
	for _, one := range a.apis {
		one.CloseConnections()
	}
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
}
