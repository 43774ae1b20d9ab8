// Package telemetry is what operators see: the log, the metrics, and the handler behind the operators' listener.
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
)

// NewLogger gives a logger that writes one JSON object a line to w: time (UTC, milliseconds), level, message, and the fields
// of the event; durations in seconds. Text from outside cannot break a line or a field. The level is debug, info, warn or error.
func NewLogger(w io.Writer, level string) (*zap.Logger, error) {
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: give one of debug, info, warn, error", level)
	}
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:        "time",
		LevelKey:       "level",
		NameKey:        "logger",
		MessageKey:     "message",
		EncodeTime:     encodeTime,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
	})
	out := zapcore.Lock(zapcore.AddSync(w))
	return zap.New(zapcore.NewCore(encoder, out, least), zap.ErrorOutput(out)), nil
}

func encodeTime(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
	enc.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}
