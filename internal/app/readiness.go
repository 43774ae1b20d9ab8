package app

import (
	"context"
	"errors"
	"time"

	"github.com/pimsd/pimsd/internal/input"
)

var errStopping = errors.New("the service is stopping")

// serving is the readiness of the process itself.
func (a *App) serving(context.Context) error {
	if a.stopping.Load() {
		return errStopping
	}
	return nil
}

// alwaysReady is the readiness of what is worth a note, and no reason to take the service out.
func alwaysReady(context.Context) error { return nil }

// droppedLines is the note about a log whose reader does not keep up.
func (a *App) droppedLines(context.Context) string {
	if n := a.log.Dropped(); n > 0 {
		return input.Count(n, "line") + " dropped since the start: its reader is too slow, or gone"
	}
	return ""
}

// doubts says how many devices are in doubt, which is no reason to stop serving the others.
func (a *App) doubts(context.Context) string {
	last := a.accountStats.Load()
	if last == nil {
		return "devices in doubt are not counted yet"
	}
	return input.Count(last.Accounts[accountsInDoubt], "device") + " in doubt when they were counted, " +
		time.Since(last.At).Round(time.Second).String() + " ago"
}
