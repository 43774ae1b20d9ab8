package app

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"go.uber.org/zap"

	openapi "github.com/pimsd/pimsd/api"
	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/store/postgres"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// Time-outs of the operators' listener; a scrape takes the longest.
const (
	opsReadTimeout  = 5 * time.Second
	opsWriteTimeout = 15 * time.Second
	opsIdleTimeout  = time.Minute
)

func opsTimeouts() timeouts {
	return timeouts{header: opsReadTimeout, read: opsReadTimeout, write: opsWriteTimeout, idle: opsIdleTimeout}
}

func (a *App) openOps() error {
	return a.listenOps(telemetry.OpsHandler(a.metrics,
		telemetry.Check{Name: "serving", Ready: a.serving},
		telemetry.Check{Name: "store", Ready: a.Store.Writable, Note: a.doubts},
		telemetry.Check{Name: "store's condition", Ready: alwaysReady, Note: a.watched.describe},
		telemetry.Check{Name: "log", Ready: alwaysReady, Note: a.droppedLines},
		telemetry.Check{Name: "sealing keys", Ready: a.keyring.ready, Note: a.keyring.describe},
	))
}

// listenOps opens the operators' listener for the handler.
func (a *App) listenOps(handler http.Handler) (err error) {
	handler = a.named(a.withDocs(handler))
	a.ops, err = openListener(listenerOptions{
		setting: "ops.listen", bound: a.sockets.ops, handler: a.recovering(taskOperators, handler), timeouts: opsTimeouts(),
		connections: opsConnections, observe: a.watchConnections("ops", opsConnections), logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.closers.push("operators' listener", a.ops.close)
	return nil
}

// named lets every answer of the handler say whose service answers.
func (a *App) named(handler http.Handler) http.Handler {
	handler = telemetry.WithHeader(listensHeader, a.sockets.String(), handler)
	if name := databaseName(a.config); name != "" {
		handler = telemetry.WithHeader(databaseHeader, name, handler)
	}
	return telemetry.WithHeader(DataDirHeader, ShownDataDir(a.config), handler)
}

// callerBurst is how many times the requests of a second a caller may send at once after a pause.
const callerBurst = 10

func (a *App) openAPI(ctx context.Context) (err error) {
	callers, err := a.callers()
	if err != nil {
		return err
	}
	h, load := a.config.HTTP, a.config.Load
	tracer, err := a.tracer(ctx)
	if err != nil {
		return err
	}
	listener := api.Config{
		Tracer:         tracer,
		Accounts:       a.OTP,
		Callers:        callers,
		Fingerprints:   a.Keyring.Body,
		Observer:       requestObserver{a.logger, a.metrics, a.denied, a.metrics.WatchThrottles(throttles()), a.lines},
		Contract:       openapi.Document(),
		Gate:           admission.NewGate(load.InFlight, load.Waiting, load.Wait),
		Rates:          admission.NewRates(load.CallerRate, callerBurst*load.CallerRate),
		TrustedProxies: h.TrustedProxies,
	}
	if err := a.listenAPI(api.New(listener)); err != nil {
		return err
	}
	listener.Callers = a.keys // no token administers anything
	return a.openAdmin(listener, a.OTP, administrators{a.Core, a.config.Inwebo.MacID})
}

// DataDirHeader is the header of every answer to operators that says whose service answers.
const DataDirHeader = "X-Pimsd-Data-Dir"

// databaseHeader is the header of every answer to operators that says which PostgreSQL database the service uses.
const databaseHeader = "X-Pimsd-Database"

// databaseName returns a text that identifies the configured PostgreSQL database; empty when there is none.
func databaseName(c *config.Config) string {
	if c.DatabaseURL.IsEmpty() {
		return ""
	}
	return postgres.NameOf(databaseOf(c))
}

// listensHeader is the header of every answer to operators that has the addresses of the service's listeners.
const listensHeader = "X-Pimsd-Listens"

// ShownDataDir is the absolute path of the data directory as that header has it: quoted, in ASCII.
func ShownDataDir(c *config.Config) string {
	path, err := filepath.Abs(c.DataDir)
	if err != nil {
		path = c.DataDir
	}
	return strconv.QuoteToASCII(path)
}

// listenAPI opens the API's listener.
func (a *App) listenAPI(callers *api.API) error {
	a.apis = append(a.apis, callers)
	openFiles, err := openFileLimit()
	if err != nil {
		return err
	}
	most, err := apiConnections(openFiles, a.config.Load, a.sockets.admin != nil)
	if err != nil {
		return err
	}
	a.api, err = openListener(listenerOptions{
		setting: "listen", bound: a.sockets.api, handler: counted(a.metrics, callers), timeouts: a.apiTimeouts(),
		connections: most, observe: a.watchConnections("api", most), logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.closers.push("API listener", a.api.close)
	return a.openTLS()
}

// apiTimeouts are those of the listeners that callers reach.
func (a *App) apiTimeouts() timeouts {
	part := a.config.HTTP.PartTimeout
	longest := a.config.Load.Wait + a.config.Conversation.QueueWait + otp.EnrollmentDeadlines*a.config.Conversation.Deadline
	return timeouts{
		header: part, read: 2 * part, idle: a.config.HTTP.IdleTimeout,
		write: 2*part + authn.KeyWaitTimeout + longest + answerTimeout,
	}
}

// openTLS makes the API's listener speak TLS, when a certificate is configured.
func (a *App) openTLS() (err error) {
	if a.config.TLS.CertFile == "" {
		return nil
	}
	if a.certificate, err = openCertificate(a.config.TLS, a.logger); err != nil {
		return err
	}
	a.metrics.WatchCertificate(a.certificate.expiry)
	a.api.secure(a.certificate.config())
	return nil
}

// answerTimeout is how long a caller may take to read an answer.
const answerTimeout = 5 * time.Second

// counted counts the requests that are being answered.
func counted(metrics *telemetry.Metrics, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer metrics.RequestStarted()()
		next.ServeHTTP(w, r)
	})
}

// connectionLogInterval is how often the log may say that a listener is full, or that connections cannot be accepted.
const connectionLogInterval = 10 * time.Second

// watchConnections returns what counts and logs the connections of a listener.
func (a *App) watchConnections(listener string, limit int) func(connectionEvent) {
	counts := a.metrics.WatchConnections(listener)
	full, failed := admission.NewLimiter(connectionLogInterval, 1), admission.NewLimiter(connectionLogInterval, 1)
	return func(e connectionEvent) {
		switch {
		case e.Err != nil:
			counts.Failed()
			if failed.Allow() {
				a.logger.Error("connections cannot be accepted", zap.String("listener", listener), zap.Error(e.Err))
			}
		case e.Shed:
			counts.Shed()
			if full.Allow() {
				a.logger.Warn("the listener has all the connections that it may have: those without a request are closed for new ones",
					zap.String("listener", listener), zap.Int("limit", limit))
			}
		default:
			counts.Changed(e.Change)
		}
	}
}
