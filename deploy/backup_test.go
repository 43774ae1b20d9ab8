package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

// The document's backup and restore work as pimsd is packaged: the one beside the service, the other in maintenance.
func TestBackupAndRestoreRunAsPackaged(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(read(t, "../docs/operations.md"), "\n## Backup and restore\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| [^|]* \\| `([^`]* backup [^`]*)` \\| `([^`]* restore [^`]*)` \\|$").FindAllStringSubmatch(section, -1)
	if len(rows) != 3 {
		t.Fatalf("the document has the backups %q", rows)
	}
	i, folder := newInstallation(t), t.TempDir()
	run := func(command string) string {
		_, all, _ := try(t, "bash", "-uc", "umask 077; cd "+folder+"; PATH="+i.path+":$PATH\n"+command+"\necho status $?")
		return all
	}
	expect := func(command, said string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s lacks %q: %s", command, want, said)
			}
		}
	}
	stop := i.serve(t)
	for _, row := range rows {
		expect(row[1], run(row[1]), "the backup is complete and checked", "status 0")
		expect(row[2], run(row[2]), "the store is open elsewhere", "status 1")
	}
	stop()
	stop = i.serve(t, "PIMSD_MAINTENANCE=yes")
	for _, row := range rows {
		expect(row[2], run(row[2]), "The backup is good", "From the present store are taken over", "The store from before is kept", "status 0")
	}
	stop()
	i.serve(t)()
}
