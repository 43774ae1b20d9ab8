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
	log, err := telemetry.NewLog(&out, "info", telemetry.FormatJSON)
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

func TestTextLogLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := telemetry.NewLog(&out, "info", telemetry.FormatText)
		if err != nil {
			t.Fatal(err)
		}
		const hostile = "a\n\x1b[31m\u202e"
		log.Warn("is slow: "+hostile, zap.String("text", hostile), zap.Duration("took", 1500*time.Millisecond))
		log.Flush()
		const want = `2000-01-01T00:00:00.000Z warn is slow: a\n\x1b[31m\u202e {"text": "a\n\u001b[31m\u202e", "took": 1.5}` + "\n"
		if out.String() != want {
			t.Errorf("the line is\n%q\nwant\n%q", out.String(), want)
		}
	})
}

func TestAutomaticFormatOfWhatIsNoTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := telemetry.NewLog(&out, "info", telemetry.FormatAuto)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("serving")
	log.Flush()
	if !json.Valid(out.Bytes()) {
		t.Errorf("the line is %q", out.String())
	}
}

func TestFormatThatIsNone(t *testing.T) {
	t.Parallel()
	if _, err := telemetry.NewLog(&bytes.Buffer{}, "info", "xml"); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("got %v", err)
	}
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

func TestALevelThatIsNone(t *testing.T) {
	t.Parallel()
	if _, err := telemetry.NewLog(&bytes.Buffer{}, "loud", telemetry.FormatJSON); err == nil || !strings.Contains(err.Error(), `"loud"`) {
		t.Errorf("got %v", err)
	}
}
