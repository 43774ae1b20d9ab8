package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/fxamacker/cbor/v2"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
	"github.com/pimsd/pimsd/internal/store/seal"
)

// env is what all rows share: the programs, the simulated inWebo, one real device, and the stores that are stocked with
// copies of it.
type env struct {
	scratch    string
	progress   io.Writer
	profileDir string
	against    string

	self, pimsd string // programs
	started     int    // processes so far
	profiles    int    // so far
	inwebo      *simulator
	model       model
	datasets    map[string]*dataset
	servers     map[string]*server // of PostgreSQL, by the kind of stores
}

// model is the device that all others are copies of.
type model struct {
	device inwebosim.Device // as inWebo knows it
	row    otp.Row          // as pimsd knows it, its secrets in the clear
	write  int              // bytes of a write of its record
}

func (l *env) log(format string, args ...any) {
	_, _ = fmt.Fprintf(l.progress, "bench: "+format+"\n", args...)
}

// build makes everything that no row can do without.
func (l *env) build(ctx context.Context) (err error) {
	l.datasets, l.servers = map[string]*dataset{}, map[string]*server{}
	if l.self, err = os.Executable(); err != nil {
		return err
	}
	if l.pimsd == "" {
		if err := l.buildPimsd(ctx); err != nil {
			return err
		}
	}
	if l.inwebo, err = l.startSimulator(ctx); err != nil {
		return err
	}
	if l.model, err = l.enrolModel(ctx); err != nil {
		return errors.Join(fmt.Errorf("enroll the device that all others are copies of: %w", err), l.close())
	}
	return nil
}

func (l *env) buildPimsd(ctx context.Context) error {
	l.pimsd = filepath.Join(l.scratch, "pimsd")
	l.log("building pimsd")
	//nolint:gosec // the folder is ours
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", l.pimsd, "./cmd/pimsd")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build pimsd: start this command in its folder: %w\n%s", err, text)
	}
	return nil
}

// close ends what build and prefill have started.
func (l *env) close() error {
	err := l.inwebo.stop()
	for _, s := range l.servers {
		err = errors.Join(err, s.close())
	}
	return err
}

// enrolModel enrolls a device as pimsd does, and has it make its first OTPs.
func (l *env) enrolModel(ctx context.Context) (m model, err error) {
	c := config.Default()
	c.DataDir, c.Quota.OTPsPerDay = filepath.Join(l.scratch, "model"), 0
	if c.Inwebo.URL, err = url.Parse(l.inwebo.addresses.Protocol); err != nil {
		return m, err
	}
	core, err := app.OpenCore(ctx, c, true, app.Observers{})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	ask := otp.Request{ // as long as those of real requests
		Account: otp.Account(profile{Name: "0000"}.account(0)), Caller: "key:0123456789ab", Transaction: "01234567-89ab-cdef-0123-456789abcdef",
	}
	enrolling := otp.EnrollRequest{SMSCode: secret.NewText(inwebosim.DefaultCode), PIN: secret.NewText(pin)}
	if _, err := core.OTP.Enroll(ctx, ask, enrolling); err != nil {
		return m, err
	}
	for range 2 {
		if _, err := core.OTP.IssueOTP(ctx, ask, secret.NewText(pin)); err != nil {
			return m, err
		}
	}
	if m.write, err = sizeOfWrite(ctx, core.Store, ask.Account); err != nil {
		return m, err
	}
	if m.row, _, err = seal.New(core.Store, core.Keyring).Fetch(ctx, ask.Account); err != nil {
		return m, err
	}
	if m.row.Body, err = asFirst(m.row.Body); err != nil {
		return m, err
	}
	m.device, err = l.onlyDevice(ctx)
	return m, err
}

// asFirst is the body of a record as it may are in an account's first row, before any conversation.
func asFirst(body []byte) ([]byte, error) {
	var members map[string]cbor.RawMessage
	if err := cbor.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	members["movedBy"] = cbor.RawMessage{0}
	return cbor.Marshal(members)
}

// onlyDevice is the one that inWebo knows.
func (l *env) onlyDevice(ctx context.Context) (d inwebosim.Device, err error) {
	var ids []string
	if err := l.inwebo.control(ctx, http.MethodGet, "/devices", nil, &ids); err != nil {
		return d, err
	}
	if len(ids) != 1 {
		return d, fmt.Errorf("inWebo knows %d devices", len(ids))
	}
	err = l.inwebo.control(ctx, http.MethodGet, "/devices/"+ids[0]+"/export", nil, &d)
	return d, err
}

// sizeOfWrite returns how many bytes the last write of the account had: its record, sealed, and its entry in the audit log.
func sizeOfWrite(ctx context.Context, store app.Store, account otp.Account) (int, error) {
	const numbers, id = 6 * 8, 36 // revision, flag, and times; the ID of the write
	row, _, err := store.Fetch(ctx, account)
	if err != nil {
		return 0, err
	}
	lines, err := store.AuditAfter(ctx, 0, 100)
	if err != nil {
		return 0, err
	}
	l := lines[len(lines)-1]
	return numbers + id + len(row.Account) + len(row.Body) + len(row.Secrets.Reveal()) +
		len(l.Account) + len(l.Caller) + len(l.Transaction) + len(l.Action) + len(l.Stage) + len(l.Outcome), nil
}
