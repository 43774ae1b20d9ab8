// Package telemetry is what operators see: the log, the metrics, the traces, the handler behind the operators' listener, and what
// a service manager is told.
//
// It knows none of the other packages: they are told to it as names, numbers and functions. It must never take a value in
// which a secret could travel; labels are names out of short, fixed lists, never accounts, callers or texts from outside.
package telemetry

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pimsd/pimsd/internal/input"
)

// Log is a logger whose lines are written in the background. No caller of it waits for the reader of the log: lines that the
// reader does not take in time are dropped and counted.
type Log struct {
	*zap.Logger

	lines *LineQueue
}

// NewLog returns a log that writes one JSON object a line to w: time (UTC, milliseconds), level, message, and the fields of the
// event; durations in seconds. Text from outside cannot break a line or a field. The level is debug, info, warn or error.
func NewLog(w io.Writer, level string) (*Log, error) {
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: use one of debug, info, warn, error", level)
	}
	lines := NewLineQueue(w, func(dropped uint64) []byte {
		entry := zapcore.Entry{
			Time: time.Now(), Level: zapcore.WarnLevel,
			Message: "lines of the log were dropped: its reader is too slow, or was away",
		}
		line, err := newEncoder().EncodeEntry(entry, []zapcore.Field{zap.Uint64("lines", dropped)})
		if err != nil {
			return nil
		}
		return line.Bytes()
	})
	return &Log{zap.New(zapcore.NewCore(newEncoder(), printableLines{lines}, least), zap.ErrorOutput(lines)), lines}, nil
}

// printableLines writes lines of JSON with nothing in them that a terminal would obey: texts from outside, such as an error of
// another service, may be in them.
type printableLines struct{ *LineQueue }

// Write is as io.Writer says.
func (l printableLines) Write(line []byte) (int, error) {
	if _, err := l.LineQueue.Write(input.PrintableJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// Dropped is how many lines were dropped since the start.
func (l *Log) Dropped() uint64 { return l.lines.Dropped() }

// flushTimeout bounds how long the end of the process waits for the reader of the log.
const flushTimeout = time.Second

// Flush waits, for a moment, until the lines that were logged before are written.
func (l *Log) Flush() { l.lines.Flush(flushTimeout) }

func newEncoder() zapcore.Encoder {
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:        "time",
		LevelKey:       "level",
		NameKey:        "logger",
		MessageKey:     "message",
		EncodeTime:     encodeTime,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
	})
}

func encodeTime(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
	enc.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}
