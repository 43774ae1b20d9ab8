// Command pimsd returns one-time passwords of inWebo devices over HTTP, and manages those devices.
//
// main is a shell around run, which knows nothing of the process: arguments, environment and streams come in, an exit
// status goes out. The commands decide nothing about devices; they ask the packages below internal.
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
		program: os.Args[0], stdin: os.Stdin, lines: input.NewLines(os.Stdin), stdout: os.Stdout, stderr: messages, log: os.Stderr,
		environ: os.Environ(), root: os.Geteuid() == 0, signals: told,
	})
}
