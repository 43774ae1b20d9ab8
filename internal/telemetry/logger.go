// Package telemetry is what operators see of the service: the log, the metrics, the traces, the handler behind the operators' listener,
// and the messages to a service manager.
//
// It imports no package of the service; they pass it names, numbers and functions. It must never take a value in which a secret could
// be; labels are names from short, fixed lists, never accounts, callers or texts from outside.
package telemetry

import (
	"fmt"
	"io"
	"os"
	"strings"
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

// The forms of a log.
const (
	FormatAuto = "auto" // text on a terminal, and JSON everywhere else
	FormatJSON = "json"
	FormatText = "text"
)

// NewLog returns a log that writes one line for each event to w: time (UTC, milliseconds), level, message, and the fields of the
// event; durations in seconds. As JSON a line is one object; as text the fields are one object at its end. Text from outside cannot
// break a line or a field. The level is debug, info, warn or error.
func NewLog(w io.Writer, level, format string) (*Log, error) {
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: use one of debug, info, warn, error", level)
	}
	encoder, printable, err := formOf(w, format)
	if err != nil {
		return nil, err
	}
	lines := NewLineQueue(w, func(dropped uint64) []byte {
		entry := zapcore.Entry{
			Time: time.Now(), Level: zapcore.WarnLevel,
			Message: "lines of the log were dropped: its reader is too slow, or was away",
		}
		line, err := encoder.Clone().EncodeEntry(entry, []zapcore.Field{zap.Uint64("lines", dropped)})
		if err != nil {
			return nil
		}
		return line.Bytes()
	})
	return &Log{zap.New(zapcore.NewCore(encoder, printableLines{lines, printable}, least), zap.ErrorOutput(lines)), lines}, nil
}

// formOf returns what writes a line in a format, and what makes it safe to be shown.
func formOf(w io.Writer, format string) (zapcore.Encoder, func([]byte) []byte, error) {
	if format == FormatAuto {
		format = FormatJSON
		if file, is := w.(*os.File); is && input.IsTerminal(file) {
			format = FormatText
		}
	}
	switch format {
	case FormatJSON:
		return zapcore.NewJSONEncoder(encoderConfig()), input.PrintableJSON, nil
	case FormatText:
		config := encoderConfig()
		config.ConsoleSeparator = " "
		return zapcore.NewConsoleEncoder(config), printableText, nil
	}
	return nil, nil, fmt.Errorf("log format %q: use one of auto, json, text", format)
}

// printableText is input.Printable for a line, of which it keeps the line break at its end.
func printableText(line []byte) []byte {
	return []byte(input.Printable(strings.TrimSuffix(string(line), "\n")) + "\n")
}

// printableLines writes lines with nothing in them that a terminal would obey: texts from outside, such as an error of another
// service, may be in them.
type printableLines struct {
	*LineQueue

	printable func(line []byte) []byte
}

// Write is as io.Writer says.
func (l printableLines) Write(line []byte) (int, error) {
	_, err := l.LineQueue.Write(l.printable(line))
	return len(line), err
}

// Dropped is how many lines were dropped since the start.
func (l *Log) Dropped() uint64 { return l.lines.Dropped() }

// flushTimeout bounds how long the end of the process waits for the reader of the log.
const flushTimeout = time.Second

// Flush waits, for a moment, until the lines that were logged before are written.
func (l *Log) Flush() { l.lines.Flush(flushTimeout) }

func encoderConfig() zapcore.EncoderConfig {
	return zapcore.EncoderConfig{
		TimeKey:        "time",
		LevelKey:       "level",
		NameKey:        "logger",
		MessageKey:     "message",
		EncodeTime:     encodeTime,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
	}
}

func encodeTime(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
	enc.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}
