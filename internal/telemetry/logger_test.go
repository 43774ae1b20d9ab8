package telemetry_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/pimsd/pimsd/internal/telemetry"
)

func TestALogLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testALogLine) // whose clock stands at the beginning of the year 2000
}

func testALogLine(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLog(&out, "info")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not this")
	const hostile = "a\n{\"level\":\"error\"}\r\x1b[31m\u009b31m\u202e\u00a0\u2028\x7f\xff\""
	log.Info(hostile, zap.String("text", hostile), zap.Duration("took", 1500*time.Millisecond))
	log.Flush()

	if n := strings.Count(out.String(), "\n"); n != 1 || strings.ContainsFunc(strings.TrimSuffix(out.String(), "\n"), isUnprintable) {
		t.Fatalf("one event became %d lines: %q", n, out.String())
	}
	var line struct {
		Time, Level, Message, Text string
		Took                       float64
	}
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&line); err != nil {
		t.Fatal(err)
	}
	if line.Time != "2000-01-01T00:00:00.000Z" {
		t.Errorf("time is %q", line.Time)
	}
	readable := strings.ToValidUTF8(hostile, "\ufffd")
	if line.Level != "info" || line.Message != readable || line.Text != readable || line.Took != 1.5 {
		t.Errorf("the line says %+v", line)
	}
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

func TestALevelThatIsNone(t *testing.T) {
	t.Parallel()
	if _, err := telemetry.NewLog(&bytes.Buffer{}, "loud"); err == nil || !strings.Contains(err.Error(), `"loud"`) {
		t.Errorf("got %v", err)
	}
}
