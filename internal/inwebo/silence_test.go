package inwebo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// assertSilent holds that err, printed or logged in whatever way, says nothing of the request, its URL or its answer.
func assertSilent(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for how, text := range renderings(err) {
		for _, told := range []string{canary, "127.0.0.", "localhost", "://", "action=", "iwws"} {
			if strings.Contains(strings.ToLower(text), told) {
				t.Errorf("%s tells %q: %s", how, told, text)
			}
		}
	}
}

// renderings are the ways in which an error can end up in a log.
func renderings(err error) map[string]string {
	texts := make(map[string]string)
	wrapped := struct{ Err error }{fmt.Errorf("wrapped: %w", err)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		texts[verb] = fmt.Sprintf(verb, err)
		texts["wrapped "+verb] = fmt.Sprintf(verb, wrapped)
		texts["held "+verb] = fmt.Sprintf(verb, struct{ Err error }{err})
		texts["joined "+verb] = fmt.Sprintf(verb, errors.Join(err, err))
	}
	encoded, failed := json.Marshal(err)
	texts["json"] = string(encoded) + fmt.Sprint(failed)
	texts["zap"] = zapLine(zap.Error(err), zap.Any("any", err), zap.Reflect("reflected", err), zap.Any("wrapped", wrapped))
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Error(err.Error(), "err", err, "wrapped", wrapped)
	texts["slog"] = line.String()
	return texts
}

func zapLine(fields ...zap.Field) string {
	var line bytes.Buffer
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&line), zap.DebugLevel)).Error("failed", fields...)
	return line.String()
}
