package pimsdtest_test

import (
	"database/sql"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pimsd/pimsd/internal/authn"
	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// The root page of an index of the identity of devices is damaged while the service runs. OTPs go on; what needs the index is refused, and
// changes nothing; the log names the index; and the repair that docs/operations.md describes brings all of it back.
func TestDamagedIndexOfDevicesOnSQLite(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("the repair needs sqlite3: scripts/need sqlite3")
	}
	for _, index := range []string{"device_serial", "device_active"} {
		t.Run(index, func(t *testing.T) {
			t.Parallel()
			d := pimsdtest.Start(t)
			alice, bob := d.Enroll("alice", aPIN), d.Enroll("bob", aPIN)
			admin := d.BackendKey("", authn.ScopeAdmin)
			change := func(action string) pimsdtest.Answer {
				return d.Admin(admin, http.MethodPost, "/v1/accounts/bob", `{"action":"`+action+`"}`)
			}
			change("disable")
			damageIndex(t, d, index)

			for range 3 {
				wantOTP(t, alice)
			}
			if got := change("forget"); got.Status != http.StatusInternalServerError || got.Code != 2000 {
				t.Errorf("forgetting a device: %d %s", got.Status, got.Body)
			}
			change("enable")
			wantOTP(t, bob)
			until(t, "/readyz?verbose names the index", func() bool {
				_, text := d.Ops("/readyz?verbose")
				return strings.Contains(text, "index "+index)
			})

			d.Stop()
			repairAsDocumented(t, d)
			d.Restart()
			wantOTP(t, alice)
			wantOTP(t, bob)
			change("disable")
			if got := change("forget"); got.Code != 0 {
				t.Errorf("forgetting a device after the repair: %d %s", got.Status, got.Body)
			}
		})
	}
}

// damageIndex overwrites the root page of an index, from another process: to open and close the file here would end SQLite's locks. The
// connections of the daemon read the page again, because another connection has written.
func damageIndex(t *testing.T, d *pimsdtest.Daemon, index string) {
	t.Helper()
	db, err := sql.Open("sqlite", database(d))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var page, size int
	const find = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?"
	if err := db.QueryRowContext(t.Context(), find, index).Scan(&page, &size); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "dd", "of="+database(d), "conv=notrunc", "status=none",
		"bs="+strconv.Itoa(size), "seek="+strconv.Itoa(page-1), "count=1", "iflag=fullblock")
	command.Stdin = strings.NewReader(strings.Repeat("\xa5", size))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE probe SET at = at"); err != nil {
		t.Fatal(err)
	}
}

// rebuild finds the commands that rebuild a database, in the manual.
var rebuild = regexp.MustCompile("(?s)rebuild the database from its tables.*?```sh\n(.*?)```")

// repairAsDocumented does what docs/operations.md says, in the data directory of a daemon that is stopped.
func repairAsDocumented(t *testing.T, d *pimsdtest.Daemon) {
	t.Helper()
	manual, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	found := rebuild.FindSubmatch(manual)
	if found == nil {
		t.Fatal("docs/operations.md does not say how to rebuild a database")
	}
	const replace = "chmod 600 rebuilt.db && mv rebuilt.db pimsd.db && rm -f pimsd.db-wal pimsd.db-shm"
	command := exec.CommandContext(t.Context(), "sh", "-c", "set -e\n"+string(found[1])+replace)
	command.Dir = d.Config.DataDir
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ok\n2\n") {
		t.Fatalf("the rebuilt database: %v\n%s", err, out)
	}
}
