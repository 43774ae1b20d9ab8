package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

// listedDevice is a line of the list of an import.
type listedDevice struct {
	line    int
	account string
	file    string
	err     error // why the line cannot be read; nil when it can
}

// maxDeviceList is the largest list, in bytes: some 200,000 devices.
const maxDeviceList = 16 << 20

// readDeviceList reads a CSV file of two columns, the account and the file of its device. Files are named from the folder of the list.
// A first line "account,file" is a heading. A line that cannot be read has an error, and those behind it are read.
func readDeviceList(name string) (all []listedDevice, err error) {
	text, err := input.ReadFile(name, maxDeviceList)
	if err != nil {
		return nil, usageError{fmt.Errorf("--list: %w", err)}
	}
	rows := csv.NewReader(bytes.NewReader(input.Trim(text)))
	rows.FieldsPerRecord, rows.Comment = -1, '#'
	for first := true; ; first = false {
		record, err := rows.Read()
		malformed, isMalformed := errors.AsType[*csv.ParseError](err)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case isMalformed:
			all = append(all, listedDevice{line: malformed.StartLine, err: fmt.Errorf("write account,file: %w", err)})
			continue
		case err != nil:
			return nil, usageError{fmt.Errorf("--list: %s: %w", name, err)}
		case first && slices.Equal(record, []string{"account", "file"}):
			continue
		}
		line, _ := rows.FieldPos(0)
		if len(record) != 2 {
			err := fmt.Errorf("write account,file: it has %s", input.Count(len(record), "field"))
			all = append(all, listedDevice{line: line, account: record[0], err: err})
			continue
		}
		path := record[1]
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		all = append(all, listedDevice{line: line, account: record[0], file: path})
	}
}

// importReport counts what became of the devices of a list.
type importReport struct {
	imported, there, left int
	failed                []string
}

// errIsThere means that the account has the device in the file already.
var errIsThere = errors.New("the account has the device in the file already")

// importList imports the devices of a list, each with the PIN in its file, and reports once. A line that fails does not stop the others.
// Run again, it passes over what is there.
func (p process) importList(ctx context.Context, core *app.Core, macID string, all []listedDevice, dryRun bool) error {
	var r importReport
	before := listedBefore{accounts: map[otp.Account]listedDevice{}, serials: map[string]listedDevice{}}
	for i, d := range all {
		err := ctx.Err()
		if err == nil {
			err = before.importListed(ctx, core, macID, d, dryRun)
		}
		if err != nil && ctx.Err() != nil { // nothing is wrong with the line
			r.left = len(all) - i
			break
		}
		switch {
		case err == nil:
			r.imported++
		case errors.Is(err, errIsThere):
			r.there++
		default:
			r.failed = append(r.failed, fmt.Sprintf("  line %d, account %q: %v", d.line, d.account, err))
		}
	}
	word := "imported"
	if dryRun {
		word = "can be imported"
	}
	_, err := fmt.Fprintf(p.stdout, "%d %s, %d there already, %d failed, %d not tried.\n", r.imported, word, r.there, len(r.failed), r.left)
	switch {
	case err != nil:
		return err
	case len(r.failed) > 0:
		return advised{
			fmt.Errorf("devices that were not imported:\n%s", strings.Join(r.failed, "\n")),
			"Correct these and run the command again: it passes over those that are there.",
		}
	case r.left > 0:
		return errInterrupted
	}
	return nil
}

// listedBefore has the lines of a list that an import, or the check of one, has accepted so far.
type listedBefore struct {
	accounts map[otp.Account]listedDevice
	serials  map[string]listedDevice
}

// refuse returns why the account cannot have the device after the lines before; nil when it can.
func (b listedBefore) refuse(account otp.Account, serial string) error {
	same, isListed := b.accounts[account]
	other, isTaken := b.serials[serial]
	switch {
	case isListed && isTaken && same == other:
		return errIsThere
	case isListed:
		return fmt.Errorf("%w: line %d names the account, too", otp.ErrAlreadyEnrolled, same.line)
	case isTaken:
		return fmt.Errorf("%w: line %d names it, too", otp.ErrDeviceTaken, other.line)
	default:
		return nil
	}
}

// importListed imports the device of a line, or checks that it could be imported behind the lines before it.
func (b listedBefore) importListed(ctx context.Context, core *app.Core, macID string, d listedDevice, dryRun bool) error {
	if d.err != nil {
		return d.err
	}
	account, err := otp.ParseAccount(d.account)
	if err != nil {
		return err
	}
	device, err := readDevice(d.file)
	if err != nil {
		return err
	}
	found, err := foundIn(device, macID)
	if err != nil {
		return err
	}
	if err := b.refuse(account, string(found.Serial)); err != nil {
		return err
	}
	if err = importFound(ctx, core, account, found, dryRun); err == nil || errors.Is(err, errIsThere) {
		b.accounts[account], b.serials[string(found.Serial)] = d, d
	}
	return err
}

// importFound imports the device for the account, or checks that it could be. errIsThere means that the account has it already.
func importFound(ctx context.Context, core *app.Core, account otp.Account, found otp.ForeignDevice, dryRun bool) error {
	ask := otp.Request{Account: account, Caller: caller}
	take := core.OTP.Import
	if dryRun {
		take = core.OTP.CheckImport
	}
	err := take(ctx, ask, found)
	if !errors.Is(err, otp.ErrAlreadyEnrolled) {
		return err
	}
	if status, errStatus := core.OTP.Status(ctx, account); errStatus == nil && status.DeviceID == found.Identity.ID {
		return errIsThere
	}
	return err
}

// foundIn returns the device of a file with the PIN that the file has.
func foundIn(device devicefile.Device, macID string) (otp.ForeignDevice, error) {
	if device.MacID != macID {
		return otp.ForeignDevice{}, errForeignDevice
	}
	return device.With(secret.Text{})
}
