package pimsdtest

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/pimsd/pimsd/internal/otp"
)

// Ops gets a path of the operators' listener, such as "/readyz?verbose".
func (d *Daemon) Ops(path string) (status int, body string) {
	d.tb.Helper()
	a := d.get(d.OpsURL(path))
	return a.Status, a.Body
}

// Metrics scrapes the daemon. It returns the value of each series, named as Prometheus writes them: `name{label="value"}`.
func (d *Daemon) Metrics() map[string]float64 {
	d.tb.Helper()
	status, text := d.Ops("/metrics")
	if status != http.StatusOK {
		d.tb.Errorf("/metrics answers with HTTP %d", status)
	}
	metrics := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ') // a label may hold blanks
		value, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil || cut < 0 {
			d.tb.Errorf("/metrics has a line that is no sample: %q", line)
			continue
		}
		metrics[line[:cut]] = value
	}
	return metrics
}

// Audit is the audit log.
func (d *Daemon) Audit() []otp.AuditRecord {
	d.tb.Helper()
	lines, err := d.app.Store.AuditAfter(d.tb.Context(), 0, math.MaxInt32)
	if err != nil {
		d.tb.Error(err)
	}
	return lines
}

// InDoubt returns how many devices are in doubt now. The metric is that of the last count.
func (d *Daemon) InDoubt() int {
	d.tb.Helper()
	devices, err := d.app.CountDoubt(d.tb.Context())
	if err != nil {
		d.tb.Error(err)
	}
	return devices
}

// Log is what the daemon has written so far, in all of its runs.
func (d *Daemon) Log() string {
	if d.app != nil {
		d.app.FlushLog()
	}
	return d.log.String()
}
