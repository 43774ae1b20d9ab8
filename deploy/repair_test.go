package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// installation is a service of this machine with a store of its own, and stand-ins for what reaches into it.
type installation struct {
	environ []string
	path    string // of the stand-ins
	process *exec.Cmd
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	return &installation{path: t.TempDir(), environ: []string{
		"PIMSD_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "PIMSD_LISTEN=" + free(t), "PIMSD_OPS_LISTEN=" + free(t),
		"PIMSD_INWEBO_URL=http://127.0.0.1:1",
	}}
}

// serve starts the service, with more in its environment, and waits until it lives. stop ends it.
func (i *installation) serve(t *testing.T, more ...string) (stop func()) {
	t.Helper()
	i.process = exec.CommandContext(t.Context(), pimsd, "serve")
	i.process.Env = slices.Concat(i.environ, more)
	if err := i.process.Start(); err != nil {
		t.Fatal(err)
	}
	i.writeStandIns(t)
	output(t, "bash", "-euc", strings.Join(i.environ, " ")+"; export ${!PIMSD_*}; until "+pimsd+" health 2>/dev/null; do sleep 0.1; done")
	return func() {
		if err := i.process.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		_ = i.process.Wait() // it ends because it was told to
	}
}

// writeStandIns puts kubectl, docker, systemctl and nsenter in front of the real ones. Each checks its arguments, and runs the
// command in the environment of the service, as the real one does; only the namespaces are left out.
func (i *installation) writeStandIns(t *testing.T) {
	t.Helper()
	id := strconv.Itoa(i.process.Process.Pid)
	in := `shift; mapfile -d '' e </proc/` + id + `/environ; exec env -i "${e[@]}" ` + pimsd + ` "$@"`
	const exec = `[ "$1" = exec ]; shift; if [ "$1" = -i ]; then shift; else exec </dev/null; fi; `
	for name, does := range map[string]string{
		"systemctl": `[ "$*" = "show --property=MainPID --value pimsd.service" ]; echo ` + id,
		"nsenter":   `[ "$1 $2 $3" = "--target ` + id + ` --mount" ]; while [ "$1" != /usr/bin/pimsd ]; do shift; done; ` + in,
		"kubectl":   exec + `[ "$1 $2" = "svc/NAME-pimsd --" ]; shift 2; [ "$1" = /pimsd ]; ` + in,
		"docker":    exec + `[ "$1" = NAME ]; shift; [ "$1" = /pimsd ]; ` + in,
		"sudo":      `exec "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(i.path, name), []byte("#!/bin/bash\nset -eu\n"+does+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	beside, err := filepath.Abs("systemd/pimsd-beside")
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(i.path, "pimsd-beside")) // from an earlier start
	if err := os.Symlink(beside, filepath.Join(i.path, "pimsd-beside")); err != nil {
		t.Fatal(err)
	}
}

// ways are the commands that docs/operations.md has for a service under each supervisor, without the command of pimsd itself.
func ways(t *testing.T) (all []string) {
	t.Helper()
	_, section, _ := strings.Cut(read(t, "../docs/operations.md"), "\n## Commands beside a service\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, found := range regexp.MustCompile("(?m)^\\|[^|]*\\| `([^`]*) account list`").FindAllStringSubmatch(section, -1) {
		all = append(all, found[1])
	}
	if len(all) != 3 {
		t.Fatalf("the document has the ways %q", all)
	}
	return all
}

// Every repair that a document has can be run as pimsd is packaged: what needs the store closed, in maintenance.
func TestRepairsRunAsPackaged(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	url := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(url, []byte("postgres://nobody@127.0.0.1:1/none"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(way, command string) string {
		_, all, _ := try(t, "bash", "-uc", "PATH="+i.path+":$PATH\n"+way+" "+command+"\necho status $?")
		return all
	}
	const inUse = "is open elsewhere"
	stop := i.serve(t)
	for _, way := range ways(t) {
		if said := run(way, "account list"); !strings.Contains(said, "ACCOUNT") || !strings.Contains(said, "status 0") {
			t.Errorf("%s account list: %s", way, said)
		}
		if said := run(way, "store copy --to-url-file "+url); !strings.Contains(said, "status 1") || !strings.Contains(said, inUse) {
			t.Errorf("%s store copy, while the service serves: %s", way, said)
		}
	}
	stop()
	stop = i.serve(t, "PIMSD_MAINTENANCE=yes")
	defer stop()
	for _, way := range ways(t) {
		for command, want := range map[string]string{
			"account doubt --all": "0 in doubt",
			"seal list":           "current",
			"check":               "ok +store",
		} {
			if said := run(way, command); !regexp.MustCompile(want).MatchString(said) {
				t.Errorf("%s %s: %s", way, command, said)
			}
		}
		if said := run(way, "store copy --to-url-file "+url); strings.Contains(said, inUse) || !strings.Contains(said, "open the database") {
			t.Errorf("%s store copy, in maintenance: %s", way, said)
		}
	}
}

// The Service that documents run commands through selects the pods of either shape, which have one container.
func TestCommandsReachThePodsOfEitherShape(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		rendered, all, err := helm(t, slices.Concat([]string{"template", "name", chart, "--kube-version", kubernetes}, values)...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, all)
		}
		var service corev1.Service
		var pod corev1.PodTemplateSpec
		for document := range strings.SplitSeq(rendered, "\n---\n") {
			switch {
			case strings.Contains(document, "\nkind: Service\n") && strings.Contains(document, "\n  name: name-pimsd\n"):
				strictly(t, document, &service)
			case strings.Contains(document, "\nkind: StatefulSet\n"):
				var set appsv1.StatefulSet
				strictly(t, document, &set)
				pod = set.Spec.Template
			case strings.Contains(document, "\nkind: Deployment\n"):
				var deployment appsv1.Deployment
				strictly(t, document, &deployment)
				pod = deployment.Spec.Template
			}
		}
		if len(service.Spec.Selector) == 0 || len(pod.Spec.Containers) != 1 {
			t.Errorf("%s: the Service is %+v, and the pods have %d containers", name, service.Spec, len(pod.Spec.Containers))
		}
		for label, value := range service.Spec.Selector {
			if pod.Labels[label] != value {
				t.Errorf("%s: the pods have the labels %v, and the Service selects %v", name, pod.Labels, service.Spec.Selector)
			}
		}
	}
}

// The document's way into maintenance is one of the chart: the pods open no store, and rollouts do not wait for them.
func TestChartGoesIntoMaintenance(t *testing.T) {
	t.Parallel()
	upgrades := regexp.MustCompile("`helm upgrade NAME pimsd/ --reuse-values (--set maintenance=\\w+)`").FindAllStringSubmatch(read(t, "../docs/operations.md"), -1)
	if len(upgrades) != 2 {
		t.Fatalf("the document has the upgrades %q", upgrades)
	}
	for name, values := range map[string][]string{"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		for into, upgrade := range upgrades {
			rendered, all, err := render(t, slices.Concat(values, strings.Fields(upgrade[1])))
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, all)
			}
			inMaintenance := into == 0
			if got := strings.Contains(rendered, `{name: PIMSD_MAINTENANCE, value: "yes"}`); got != inMaintenance {
				t.Errorf("%s, %s: the environment says %v", name, upgrade[1], got)
			}
			if got := strings.Contains(rendered, "readinessProbe:"); got == inMaintenance {
				t.Errorf("%s, %s: a probe asks for readiness: %v", name, upgrade[1], got)
			}
			for document := range strings.SplitSeq(rendered, "\n---\n") {
				if strings.Contains(document, "\nkind: StatefulSet\n") {
					strictly(t, document, &appsv1.StatefulSet{})
				}
			}
		}
	}
}
