package deploy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pimsd/pimsd/internal/config"
)

// demonstration reads the file as Compose does, which refuses what it does not know.
func demonstration(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"compose/compose.yaml"}, cli.WithoutEnvironmentResolution)
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// Each of pimsd's containers is started with a command line and a configuration that pimsd takes.
func TestTheDemonstrationIsUnderstood(t *testing.T) {
	t.Parallel()
	replicas := 0
	for name, service := range demonstration(t).Services {
		for _, volume := range service.Volumes {
			if _, err := os.Stat(volume.Source); volume.Type == types.VolumeTypeBind && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if service.Image != "pimsd" {
			continue
		}
		output(t, pimsd, append(slices.Clone([]string(service.Command)), "--help")...)
		if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
			t.Errorf("%s could write its root, or has capabilities", name)
		}
		if service.Command[0] != "serve" {
			continue
		}
		replicas++
		var environ []string
		for name, value := range service.Environment {
			environ = append(environ, name+"="+*value)
		}
		c, err := config.Load(config.Input{
			Environ: append(environ, "HOME=/"), ReadFile: func(string) ([]byte, error) { return nil, errors.New("no file") },
		})
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case service.StopGracePeriod == nil || longestStop(c).Nanoseconds() >= int64(*service.StopGracePeriod):
			t.Errorf("%s is killed after %v, and takes %v to stop", name, service.StopGracePeriod, longestStop(c))
		}
	}
	if replicas != 2 {
		t.Errorf("there are %d replicas", replicas)
	}
}

// While the image of PostgreSQL initializes its database, the server answers at its socket alone, and is stopped again: the replicas must
// not be started then.
func TestDatabaseOfTheDemonstrationIsAskedOverTCP(t *testing.T) {
	t.Parallel()
	if asked := demonstration(t).Services["postgres"].HealthCheck.Test; !strings.Contains(strings.Join(asked, " "), " -h 127.0.0.1 ") {
		t.Errorf("the health check is %q", asked)
	}
}

func TestTheDemonstrationIsWatched(t *testing.T) {
	t.Parallel()
	there := t.TempDir()
	for name, text := range map[string]string{"rules.yaml": read(t, rules), "prometheus.yaml": read(t, "compose/prometheus.yaml")} {
		if err := os.WriteFile(filepath.Join(there, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "promtool", "check", "config", filepath.Join(there, "prometheus.yaml"))
	for name, service := range demonstration(t).Services {
		scraped := strings.Contains(read(t, "compose/prometheus.yaml"), `"`+name+`:9464"`)
		if serves := service.Image == "pimsd" && service.Command[0] == "serve"; scraped != serves {
			t.Errorf("%s: it is scraped: %v, it serves: %v", name, scraped, serves)
		}
	}
}

// What the demonstration's document sends people to is there: the addresses, and the containers that commands run in.
func TestTheDemonstrationsDocumentLeads(t *testing.T) {
	t.Parallel()
	document := read(t, "compose/README.md")
	project := demonstration(t)
	published := map[string]bool{}
	for _, service := range project.Services {
		for _, port := range service.Ports {
			published[port.HostIP+":"+port.Published] = true
		}
	}
	addresses := regexp.MustCompile(`http://([0-9.]+:\d+)`).FindAllStringSubmatch(document, -1)
	for _, address := range addresses {
		if !published[address[1]] {
			t.Errorf("nothing is published at %s", address[1])
		}
	}
	commands := regexp.MustCompile(`docker compose -f deploy/compose/compose\.yaml exec -T (\S+) /pimsd ([^)\n]*)`).FindAllStringSubmatch(document, -1)
	for _, command := range commands {
		if service, ok := project.Services[command[1]]; !ok || service.Command[0] != "serve" {
			t.Errorf("%s serves no one", command[1])
		}
		output(t, pimsd, append(strings.Fields(command[2]), "--help")...)
	}
	if len(addresses) < 5 || len(commands) != 3 {
		t.Errorf("the document has the addresses %q and the commands %q", addresses, commands)
	}
	if board := read(t, dashboard); !strings.Contains(document, "/d/pimsd`") || !strings.Contains(board, `"uid": "pimsd"`) {
		t.Error("the dashboard is elsewhere")
	}
}

// The document's commands work as they are there, typed without a pause. A stand-in for docker runs them where a service of this machine
// runs, which begins a moment after "up".
func TestTheDemonstrationsCommandsRun(t *testing.T) {
	t.Parallel()
	i, simulator := newInstallation(t), startDev(t).simulator
	listen := strings.TrimPrefix(i.environ[1], "PIMSD_LISTEN=")
	up := filepath.Join(i.path, "up")
	i.process = exec.CommandContext(t.Context(), "bash", "-euc", "until [ -e "+up+" ]; do sleep 0.1; done; sleep 1; exec "+pimsd+" serve")
	i.process.Env = slices.Concat(i.environ, []string{"PIMSD_INWEBO_URL=" + simulator, "PATH=" + os.Getenv("PATH")})
	if err := i.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.process.Wait() }) // it ends with the test
	const compose = `[ "$1 $2 $3" = "compose -f deploy/compose/compose.yaml" ]; shift 3
case "$1" in
up) [ "$*" = "up --build --detach" ]; touch %s;;
exec) [ "$2 $3 $4" = "-T replica-a /pimsd" ]; shift 4; mapfile -d '' e </proc/%d/environ; exec env -i "${e[@]}" %s "$@";;
*) exit 1;;
esac
`
	docker := "#!/bin/bash\nset -eu\n" + fmt.Sprintf(compose, up, i.process.Process.Pid, pimsd)
	if err := os.WriteFile(filepath.Join(i.path, "docker"), []byte(docker), 0o700); err != nil {
		t.Fatal(err)
	}
	var typed strings.Builder
	for _, line := range regexp.MustCompile(`(?m)^    (.*)$`).FindAllStringSubmatch(read(t, "compose/README.md"), -1) {
		typed.WriteString(strings.ReplaceAll(line[1], "127.0.0.1:8081", listen) + "\n")
	}
	said := output(t, "bash", "-euc", "PATH="+i.path+":$PATH\n"+typed.String())
	for _, want := range []string{`The device of "alice" is enrolled`, `"status":"SUCCEEDED","result":{"otp":"`} {
		if !strings.Contains(said, want) {
			t.Errorf("%s\nsays %s, which lacks %q", typed.String(), said, want)
		}
	}
}
