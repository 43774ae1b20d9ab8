package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pimsd/pimsd/internal/app"
	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/devicefile"
	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/secret"
)

func newImport(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import (ACCOUNT FILE | --list FILE)",
		Short: "Take over a device of psa_car_controller or of the Home Assistant integration",
		Long: `Take over the device of another client, without an SMS code: psa_car_controller's otp.bin, of today or of 2021, the
pickle of the Home Assistant integration (…_otp.pickle), or the same object of another client, also as base64. The content of
the file decides, not its name; nothing in it is executed.

Stop the other client first, and for good: the keys of a device move with each OTP, and two clients of one device tear
them apart, so that neither gets OTPs any more. Take the file as the client left it, not an older copy. The device starts
in doubt, until inWebo has accepted it.

The PIN is asked for on a terminal, or read from standard input, and may be left out. It must be the one in the file; pimsd
does not keep it. Where the file has none, none is asked for: the first PIN that inWebo accepts counts, so mind it.

With --list, import the devices that a CSV file names, a line of account,file each, with the PINs in their files. It reports once,
goes on past lines that fail, and passes over devices that are there: run it again to go on.`,
		Example: `  pimsd import --list accounts.csv --dry-run
  pimsd import alice otp.bin --dry-run
  pimsd import alice otp.bin`,
	}
	account := addNamed(cmd, 1)
	dryRun := cmd.Flags().Bool("dry-run", false, "say what would be taken over, and change nothing")
	list := cmd.Flags().String("list", "", "a CSV `file` of accounts and the files of their devices")
	account.optional = true
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		name, files, err := account.read()
		switch {
		case err != nil:
			return err
		case *list != "" && (name != "" || len(files) > 0):
			return usageError{errors.New("name either --list, or an account and its file")}
		case *list != "":
			return p.importAll(cmd, c, *list, *dryRun)
		case name == "":
			return usageError{fmt.Errorf("the account is missing: %s", cmd.UseLine())}
		case len(files) == 0:
			return usageError{fmt.Errorf("the FILE in which the other client keeps its device is missing: %s", cmd.UseLine())}
		}
		who, err := parseName(name, otp.ParseAccount)
		if err != nil {
			return err
		}
		return p.importOne(cmd, c, who, files[0], *dryRun)
	})
}

// importAll imports the devices that the list names.
func (p process) importAll(cmd *cobra.Command, c *config.Config, list string, dryRun bool) error {
	all, err := readDeviceList(list)
	if err != nil {
		return err
	}
	return withCore(cmd, c, func(core *app.Core) error { return p.importList(cmd.Context(), core, c.Inwebo.MacID, all, dryRun) })
}

// importOne imports the device in the file for the account. It asks for the PIN where the file has one.
func (p process) importOne(cmd *cobra.Command, c *config.Config, account otp.Account, file string, dryRun bool) error {
	device, err := readDevice(file)
	if err != nil {
		return err
	}
	if device.MacID != c.Inwebo.MacID {
		return errForeignDevice
	}
	var typed secret.Text
	if !device.PIN.IsEmpty() {
		if typed, err = p.readOptionalPIN(cmd.Context()); err != nil {
			return err
		}
	}
	found, err := device.With(typed)
	if err != nil {
		return err
	}
	return withCore(cmd, c, func(core *app.Core) error {
		t := takeover{process: p, ask: otp.Request{Account: account, Caller: caller}, device: device, found: found}
		return t.run(cmd.Context(), core, dryRun)
	})
}

var errForeignDevice = errors.New("the device in the file belongs to another white-label service: its macid is not inwebo.macid")

// readDevice reads a device from a file, of which it reads no more than a device has.
func readDevice(name string) (devicefile.Device, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		return devicefile.Device{}, usageError{err}
	}
	file, err := os.Open(name)
	if err != nil {
		return devicefile.Device{}, usageError{err}
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, devicefile.MaxSize+1))
	if err != nil {
		return devicefile.Device{}, fmt.Errorf("read %s: %w", name, err)
	}
	return devicefile.Read(content)
}

// takeover is one run of the command, when the file has been read.
type takeover struct {
	process
	ask    otp.Request
	device devicefile.Device
	found  otp.ForeignDevice
}

func (t takeover) run(ctx context.Context, core *app.Core, dryRun bool) error {
	if err := t.mayBegin(ctx, core); err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "A device of %s, for %s", t.device.Client, input.Printable(strings.Join(t.device.Services(), ", ")))
	if t.device.PIN.IsEmpty() {
		out.WriteString("; the file has no PIN: the first one that inWebo accepts counts")
	}
	out.WriteString(".\n")
	if dryRun {
		fmt.Fprintf(&out, importDryRun, t.device.Client)
	} else {
		if err := core.OTP.Import(ctx, t.ask, t.found); err != nil {
			return err
		}
		fmt.Fprintf(&out, importDone, t.ask.Account, t.device.Client, word(t.ask.Account))
	}
	_, err := io.WriteString(t.hints(t.stdout), out.String())
	return err
}

// mayBegin refuses an account that has a device, and a device that an account has: two accounts that make OTPs of one
// device tear its keys apart as two clients do.
func (t takeover) mayBegin(ctx context.Context, core *app.Core) error {
	err := core.EachAccount(ctx, func(status otp.Status) error {
		switch {
		case status.Account == t.ask.Account && status.Activated:
			return advised{otp.ErrAlreadyEnrolled, adviceBeforeImport}
		case status.DeviceID == t.found.Identity.ID:
			return advised{
				fmt.Errorf("the account %q has the device in the file already", status.Account),
				fmt.Sprintf("Two accounts of one device tear its keys apart. Use that account, or remove the device there first: "+
					"pimsd account forget %s", word(status.Account)),
			}
		default:
			return nil
		}
	})
	unreadable, partly := errors.AsType[*app.UnreadableError](err)
	if !partly {
		return err
	}
	for _, record := range unreadable.Records { // the store itself knows the devices of the others
		if record.Account == t.ask.Account {
			return record.Err
		}
	}
	return nil
}

const adviceBeforeImport = "An account has one device. Import into another account, or remove this one first: pimsd account forget ACCOUNT"

const importDryRun = `Nothing was changed (--dry-run). Stop %s for good before you import it.
`

const importDone = `It is stored as the device of %q, in doubt until inWebo has accepted it.
Stop %s for good, and remove its file: two clients of one device tear its keys apart, and both lose it.
Get an OTP with: pimsd otp %s
`

// readOptionalPIN asks for a PIN that may be left out.
func (p process) readOptionalPIN(ctx context.Context) (secret.Text, error) {
	typed, err := p.readHidden(ctx, "PIN, or Enter for the one in the file: ")
	if err != nil {
		return secret.Text{}, fmt.Errorf("the PIN cannot be read from standard input: %w", err)
	}
	return checkPIN(typed)
}
