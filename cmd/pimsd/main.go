// Command pimsd serves one-time passwords of inWebo devices over HTTP, and manages those devices from the command line.
//
// main only calls run, which gets arguments, environment and streams and returns an exit status. The commands must not decide anything
// about devices: they call the packages below internal.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"time"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/telemetry"
)

func main() { os.Exit(mainStatus()) }

// flushTimeout bounds how long the end of the process waits until its messages are read.
const flushTimeout = time.Second

func mainStatus() int {
	crashBySignal()
	forbidCores()
	// net/http quotes unexpected bytes of answers to the standard logger, and they may be keys; the service logs by zap.
	log.SetOutput(io.Discard)
	ctx, told, stop := listen(context.Background())
	defer stop()
	messages := telemetry.NewLineQueue(os.Stderr, nil)
	defer messages.Flush(flushTimeout)
	return run(ctx, os.Args[1:], process{
		program: callable(os.Args[0]), stdin: os.Stdin, lines: input.NewLines(os.Stdin), stdout: os.Stdout, stderr: messages, log: os.Stderr,
		environ: os.Environ(), root: os.Geteuid() == 0, signals: told,
	})
}
