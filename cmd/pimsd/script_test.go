package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pimsd/pimsd/internal/inwebosim"
	"github.com/pimsd/pimsd/internal/testkit"
	"github.com/pimsd/pimsd/internal/testkit/pgtest"
)

func TestMain(m *testing.M) {
	testkit.UseMemory()
	testscript.Main(m, map[string]func(){"pimsd": main})
}

// TestScripts drives the command as its users meet it: each file in testdata/script is one story, with an inWebo
// simulator and a data directory of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpStory,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"free-address": freeAddress,
			"answer":       plantAnswer,
			"verify":       verifyOTP,
			"ready":        waitUntilReady,
			"exitstatus":   exitStatus,
			"postgres":     startPostgres,
			"certificate":  makeCertificate,
			"hangup":       hangUp,
			"shown":        isShown,
			"knob":         setKnobs,
			"foreign":      plantForeign,
			"devices":      countDevices,
			"service":      chooseService,
			"manager":      playManager,
			"told":         waitUntilTold,
			"answers":      expectAnswer,
		},
	})
}

type simulatorKey struct{}

func setUpStory(env *testscript.Env) error {
	simulator, err := inwebosim.New(inwebosim.Options{})
	if err != nil {
		return err
	}
	simulator.Start()
	env.Defer(func() { _ = simulator.Stop(context.Background()) })
	env.Values[simulatorKey{}] = simulator
	env.Values[managerKey{}] = &managed{}
	env.Setenv("PIMSD_INWEBO_URL", simulator.ProtocolURL())
	env.Setenv("PIMSD_DATA_DIR", env.WorkDir+"/data")
	env.Setenv("DEVICES", env.WorkDir+"/foreign/devices")
	env.Setenv("MADE", env.WorkDir+"/foreign/made")
	return copyDevices(env.WorkDir + "/foreign")
}

func simulatorOf(ts *testscript.TestScript) *inwebosim.Simulator {
	return ts.Value(simulatorKey{}).(*inwebosim.Simulator)
}

// free-address NAME… sets each variable to an address on which nothing listens.
func freeAddress(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, listener.Addr().String())
		defer func() { ts.Check(listener.Close()) }()
	}
}

// answer ACTION MODE ERR makes the simulator answer the next such request with err.
func plantAnswer(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(simulatorOf(ts).Plant(inwebosim.Fault{
		Kind: inwebosim.KindErr, Match: inwebosim.Match{Action: args[0], Mode: args[1]}, Err: args[2], Times: 1,
	}))
}

// postgres FILE starts a PostgreSQL server and writes the URL of an empty database into the file.
func startPostgres(ts *testscript.TestScript, _ bool, args []string) {
	server, err := pgtest.Start()
	ts.Check(err)
	ts.Defer(func() { ts.Check(server.Remove()) })
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(server.URL("postgres")+"\n"), 0o600))
}

// [!] verify FILE has the simulator verify the OTP that stands alone in the file; "stdout" is the last output.
func verifyOTP(ts *testscript.TestScript, neg bool, args []string) {
	given := strings.TrimSpace(ts.ReadFile(args[0]))
	if simulatorOf(ts).Verify(given) == neg {
		ts.Fatalf("%q: accepted is %v", given, neg)
	}
}

// ready waits until `pimsd health` says so.
func waitUntilReady(ts *testscript.TestScript, _ bool, _ []string) {
	for range 200 {
		if ts.Exec("pimsd", "health") == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("the service does not get ready")
}

// exitstatus N COMMAND… runs the command, which must end with that status.
func exitStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if got := "0"; !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		if exit != nil {
			got = strconv.Itoa(exit.ExitCode())
		}
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
