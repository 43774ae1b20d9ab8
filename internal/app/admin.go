package app

import (
	"context"
	"fmt"
	"time"

	"github.com/pimsd/pimsd/internal/admission"
	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// Bounds of administration: calls in flight, calls that wait for a place, and connections. Long polls hold a connection each.
const (
	adminPlaces      = 16
	adminWaiting     = 64
	adminConnections = 128
)

// administrators is what administration asks of the store.
type administrators struct {
	*Core

	macID string
}

var _ api.AdminStore = administrators{}

// ListKeys is as api.AdminStore says.
func (c *Core) ListKeys(ctx context.Context) ([]authn.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	keys, err := c.Store.ListKeys(ctx)
	return keys, storeFault(err)
}

// CreateKey is as api.AdminStore says.
func (a administrators) CreateKey(ctx context.Context, ask otp.Request, key authn.Key) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return storeFault(a.Core.CreateKey(ctx, ask, key))
}

// RevokeKey is as api.AdminStore says.
func (a administrators) RevokeKey(ctx context.Context, ask otp.Request, key authn.Key, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return storeFault(a.Core.RevokeKey(ctx, ask, key, at))
}

// AuditAfter is as api.AdminStore says.
func (a administrators) AuditAfter(ctx context.Context, id int64, limit int) ([]otp.AuditRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	lines, err := a.Store.AuditAfter(ctx, id, limit)
	return lines, storeFault(err)
}

// storeFault marks an error as one of the store.
func storeFault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", otp.ErrStore, err)
}

// ImportDevice is as api.AdminStore says.
func (a administrators) ImportDevice(ctx context.Context, ask otp.Request, file secret.Bytes, dryRun bool) (api.ImportedDevice, error) {
	device, err := devicefile.Read(file.Reveal())
	if err != nil {
		return api.ImportedDevice{}, fmt.Errorf("%w: %w", api.ErrDeviceFile, err)
	}
	if device.MacID != a.macID {
		return api.ImportedDevice{}, api.ErrForeignDevice
	}
	found, err := device.With(secret.Text{})
	if err != nil {
		return api.ImportedDevice{}, fmt.Errorf("%w: %w", api.ErrDeviceFile, err)
	}
	take := a.OTP.Import
	if dryRun {
		take = a.OTP.CheckImport
	}
	if err := take(ctx, ask, found); err != nil {
		return api.ImportedDevice{}, err
	}
	return api.ImportedDevice{Client: device.Client, Services: device.Services(), HasPIN: !device.PIN.IsEmpty()}, nil
}

// openAdmin opens the listener of administration, when there is to be one.
func (a *App) openAdmin(listener api.Config, accounts api.AdminAccounts, store api.AdminStore) (err error) {
	if a.sockets.admin == nil {
		return nil
	}
	listener.Gate = admission.NewGate(adminPlaces, adminWaiting, a.config.Load.Wait)
	administration := api.NewAdmin(listener, accounts, store)
	a.apis = append(a.apis, administration)
	times := a.apiTimeouts()
	times.write += api.MaxPoll
	a.admin, err = openListener(listenerOptions{
		setting: "admin.listen", bound: a.sockets.admin, handler: counted(a.metrics, administration), timeouts: times,
		connections: adminConnections, observe: a.watchConnections("admin", adminConnections), logger: a.logger,
	})
	if err != nil {
		return err
	}
	a.closers.push("administration's listener", a.admin.close)
	if a.certificate != nil {
		a.admin.secure(a.certificate.config())
	}
	return nil
}
