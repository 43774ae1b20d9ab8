package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pimsd/pimsd/internal/secret"
)

const hidden = "canary-4711"

// holder keeps its secrets in unexported fields, which fmt prints without asking their methods.
type holder struct {
	Exported secret.Text
	text     secret.Text
	bytes    secret.Bytes
	list     []secret.Text
	named    map[string]secret.Bytes
	pointer  *secret.Text
}

func newHolder() holder {
	text := secret.NewText(hidden)
	return holder{
		Exported: text, text: text, bytes: secret.NewBytes([]byte(hidden)),
		list: []secret.Text{text}, named: map[string]secret.Bytes{"k": secret.NewBytes([]byte(hidden))}, pointer: &text,
	}
}

func TestNoFormatPrintsASecret(t *testing.T) {
	h := newHolder()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		for _, value := range []any{h, &h, h.Exported, h.bytes, &h.text, h.list, h.named, []any{h}, errors.Join(fmt.Errorf("%v", h))} {
			assertHidden(t, verb, fmt.Sprintf(verb, value))
		}
	}
}

func TestNoLoggerPrintsASecret(t *testing.T) {
	var out bytes.Buffer
	h := newHolder()
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "text", h.Exported, "bytes", h.bytes, "holder", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "text", h.Exported, "bytes", h.bytes, "holder", h)
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
	zap.New(core).Info("m", zap.Any("text", h.Exported), zap.Any("bytes", h.bytes), zap.Reflect("holder", h), zap.Stringer("s", h.text))
	assertHidden(t, "logs", out.String())
}

func TestNoEncodingMarshalsASecret(t *testing.T) {
	h := newHolder()
	for _, value := range []any{h.Exported, h.bytes, &h.text, h.list, h.named} {
		if out, err := json.Marshal(value); !errors.Is(err, secret.ErrMarshal) {
			t.Errorf("json.Marshal(%T) = %s, %v; want ErrMarshal", value, out, err)
		}
	}
	if out, err := xml.Marshal(h.Exported); !errors.Is(err, secret.ErrMarshal) {
		t.Errorf("xml.Marshal = %s, %v; want ErrMarshal", out, err)
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(h.Exported); !errors.Is(err, secret.ErrMarshal) {
		t.Errorf("gob: %v; want ErrMarshal", err)
	}
	assertHidden(t, "gob", out.String())
}

func TestRevealGivesWhatWentIn(t *testing.T) {
	if got := secret.NewText(hidden).Reveal(); got != hidden {
		t.Errorf("Text: %q", got)
	}
	if got := string(secret.NewBytes([]byte(hidden)).Reveal()); got != hidden {
		t.Errorf("Bytes: %q", got)
	}
	if !secret.NewText("").IsEmpty() || (secret.Text{}).Reveal() != "" || (secret.Bytes{}).Reveal() != nil || !secret.NewBytes(nil).IsEmpty() {
		t.Error("the zero value is not the empty secret")
	}
}

func TestEqual(t *testing.T) {
	a := secret.NewText("a")
	if !a.Equal(secret.NewText("a")) || a.Equal(secret.NewText("b")) || a.Equal(secret.Text{}) {
		t.Error("Equal does not compare the texts")
	}
}

func assertHidden(t *testing.T, where, out string) {
	t.Helper()
	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprintf("%d", []byte(hidden))} {
		if strings.Contains(out, form) {
			t.Errorf("%s: printed the secret: %s", where, out)
		}
	}
}
