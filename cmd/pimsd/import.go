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
	var who otp.Account
	dryRun := cmd.Flags().Bool("dry-run", false, "say what would be taken over, and change nothing")
	list := cmd.Flags().String("list", "", "a CSV `file` of accounts and the files of their devices")
	addNamed(cmd, 1, func(name string, files []string) (err error) {
		switch {
		case *list != "" && (name != "" || len(files) > 0):
			return usageError{errors.New("name either --list, or an account and its file")}
		case *list != "":
			return nil
		case name == "":
			return errAccountMissing(cmd)
		case len(files) == 0:
			return usageError{fmt.Errorf("the FILE in which the other client keeps its device is missing: %s", cmd.UseLine())}
		}
		who, err = parseName(name, otp.ParseAccount)
		return err
	})
	return withConfig(p, cmd, useKeys, func(cmd *cobra.Command, c *config.Config) error {
		if *list != "" {
			return p.importAll(cmd, c, *list, *dryRun)
		}
		files := cmd.Flags().Args()
		return p.importOne(cmd, c, who, files[len(files)-1], *dryRun)
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
		err := importFound(cmd.Context(), core, account, found, dryRun)
		switch {
		case errors.Is(err, otp.ErrAlreadyEnrolled), errors.Is(err, errIsThere):
			return advised{otp.ErrAlreadyEnrolled, adviceBeforeImport}
		case errors.Is(err, otp.ErrDeviceTaken):
			return deviceTaken(cmd.Context(), core, found, err)
		case err != nil:
			return err
		}
		return p.reportImport(account, device, dryRun)
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

func (p process) reportImport(account otp.Account, device devicefile.Device, dryRun bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "A device of %s, for %s", device.Client, input.Printable(strings.Join(device.Services(), ", ")))
	if device.PIN.IsEmpty() {
		out.WriteString("; the file has no PIN: the first one that inWebo accepts counts")
	}
	out.WriteString(".\n")
	if dryRun {
		fmt.Fprintf(&out, importDryRun, device.Client)
	} else {
		fmt.Fprintf(&out, importDone, account, device.Client, word(account))
	}
	_, err := io.WriteString(p.hints(p.stdout), out.String())
	return err
}

// deviceTaken names the account that has the device: two accounts that make OTPs of one device tear its keys apart as two clients do. It
// returns err where that account cannot be found.
func deviceTaken(ctx context.Context, core *app.Core, found otp.ForeignDevice, err error) error {
	_ = core.EachAccount(ctx, func(status otp.Status) error {
		if status.DeviceID == found.Identity.ID {
			err = advised{
				fmt.Errorf("the account %q has the device in the file already", status.Account),
				fmt.Sprintf("Two accounts of one device tear its keys apart. Use that account, or remove the device there first: "+
					"pimsd account forget %s", word(status.Account)),
			}
		}
		return nil
	})
	return err
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
