package app

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pimsd/pimsd/internal/telemetry"
)

// newBareApp is an App that can log and count, and nothing else.
func newBareApp(t *testing.T, log *bytes.Buffer) *App {
	t.Helper()
	l, err := telemetry.NewLog(log, "info", telemetry.FormatJSON)
	if err != nil {
		t.Fatal(err)
	}
	return &App{log: l, logger: l.Logger, metrics: telemetry.NewMetrics("test", nil)}
}

// scrape is what the metrics of an App say.
func scrape(a *App) string {
	w := httptest.NewRecorder()
	telemetry.OpsHandler(a.metrics).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Body.String()
}

// A task that panics ends neither the process nor itself: it is logged with its stack, counted, and begun again.
func TestATaskThatPanicsIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := newBareApp(t, &log)
		var begun []time.Time
		a.inBackground(t.Context(), "census", func(ctx context.Context) {
			begun = append(begun, time.Now())
			switch len(begun) {
			case 1:
				panic("text that may be a secret")
			case 2:
				var nowhere *int
				*nowhere = 1 //nolint:govet // the panic is what is tested
			}
			<-ctx.Done()
		})
		time.Sleep(3 * restartPause)
		synctest.Wait()
		if len(begun) != 3 || begun[2].Sub(begun[0]) != 2*restartPause {
			t.Errorf("begun at %v", begun)
		}
		if err := a.closers.all(); err != nil {
			t.Error(err)
		}
		a.FlushLog()
		if text := log.String(); strings.Count(text, `"task":"census"`) != 2 || strings.Contains(text, "secret") ||
			!strings.Contains(text, "type string") || !strings.Contains(text, "nil pointer") || !strings.Contains(text, "background_test.go") {
			t.Errorf("the log says %s", text)
		}
		if text := scrape(a); !strings.Contains(text, `pimsd_panics_total{task="census"} 2`) {
			t.Error("the panics are not counted")
		}
	})
}

func TestATaskThatPanickedEndsWithTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBareApp(t, new(bytes.Buffer))
		a.inBackground(t.Context(), "census", func(context.Context) { panic(1) })
		synctest.Wait()
		began := time.Now()
		if err := a.closers.all(); err != nil || time.Since(began) != 0 {
			t.Errorf("the end took %v, %v", time.Since(began), err)
		}
	})
}

func TestAHandlerOfTheOperatorsThatPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := newBareApp(t, &log)
	handler := a.recovering(taskOperators, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	a.FlushLog()
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), `"task":"operators"`) ||
		!strings.Contains(scrape(a), `pimsd_panics_total{task="operators"} 1`) {
		t.Errorf("HTTP %d, and the log says %s", w.Code, log.String())
	}
}
