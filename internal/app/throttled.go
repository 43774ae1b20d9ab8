package app

import (
	"errors"
	"net/http"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
)

// The throttles that refuse requests because there are too many.
const (
	throttledByRate = "caller_rate"
	throttledByLoad = "overload"
)

// throttles are what holds callers back, as the metric names it.
func throttles() []string {
	return []string{"pin_guard", "pin_locked", "quota", "busy_device", throttledByRate, throttledByLoad}
}

// throttledBy names what of pimsd held the request back; empty when nothing did.
func throttledBy(e api.Event) string {
	switch {
	case errors.Is(e.Err, otp.ErrPINHeldBack):
		return "pin_guard"
	case errors.Is(e.Err, otp.ErrPINLocked):
		return "pin_locked"
	case errors.Is(e.Err, otp.ErrQuota):
		return "quota"
	case errors.Is(e.Err, otp.ErrBusy):
		return "busy_device"
	case e.Code == errcodes.FacadeNotInitialized && e.Status == http.StatusTooManyRequests:
		return throttledByRate
	case e.Code == errcodes.FacadeNotInitialized && !errors.Is(e.Err, otp.ErrStopping) && !errors.Is(e.Err, authn.ErrKeysUnavailable):
		return throttledByLoad
	default:
		return ""
	}
}
