package app

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pimsd/pimsd/internal/api"
	"github.com/pimsd/pimsd/internal/errcodes"
	"github.com/pimsd/pimsd/internal/otp"
	"github.com/pimsd/pimsd/internal/telemetry"
)

// Requests that anyone can send, and those beyond a caller's rate, fill no log: what is beyond a bound is counted, and the count is
// logged once in an interval. No other line is left out, nor do unknown callers use up the lines of others.
func TestLogLinesOfRefusedRequestsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		logger, metrics := zap.New(core), telemetry.NewMetrics("test", nil)
		o := requestObserver{
			logger: logger, metrics: metrics, refusals: newDeniedCallers(&audited{}, logger, metrics), throttled: func(string) {},
			lines: newRequestLines(logger),
		}
		ctx, cancel := context.WithCancel(t.Context())
		go o.lines.run(ctx)
		events := map[string]api.Event{
			"stranger":  {Route: api.RouteOTP, Code: 2301, Status: http.StatusUnauthorized},
			"no route":  {Route: api.RouteNone, Code: 2301, Status: http.StatusNotFound},
			"fault":     {Route: api.RouteOTP, Code: errcodes.UnknownError, Status: http.StatusInternalServerError},
			"too fast":  {Route: api.RouteOTP, Caller: "key:1", Code: errcodes.FacadeNotInitialized, Status: http.StatusTooManyRequests},
			"wrong PIN": {Route: api.RouteOTP, Caller: "key:1", Code: 2308, Status: http.StatusForbidden, Err: otp.ErrPINRefused},
			"done":      {Route: api.RouteOTP, Caller: "key:1", Code: errcodes.OK, Status: http.StatusOK},
		}
		const times = 10 * lineBurst
		for range times {
			for name, e := range events {
				e.Transaction = name
				o.Observe(e)
			}
		}
		logged := func() map[string]int {
			counted := map[string]int{}
			for _, entry := range logs.FilterMessage("request").TakeAll() {
				counted[entry.ContextMap()["transaction"].(string)]++
			}
			return counted
		}
		got := logged()
		if got["stranger"]+got["no route"] != lineBurst || got["fault"] != lineBurst || got["too fast"] != lineBurst ||
			got["wrong PIN"] != times || got["done"] != times {
			t.Errorf("the log has %v", got)
		}
		time.Sleep(leftOutInterval)
		synctest.Wait()
		left := logs.FilterMessage("lines of requests were left out of the log").All()
		if len(left) != 1 || left[0].ContextMap()["ofUnknownCallers"] != uint64(3*times-2*lineBurst) ||
			left[0].ContextMap()["ofTooManyRequests"] != uint64(times-lineBurst) {
			t.Errorf("the lines that were left out are told as %v", left)
		}
		time.Sleep(leftOutInterval)
		synctest.Wait()
		if n := logs.FilterMessage("lines of requests were left out of the log").Len(); n != 1 {
			t.Errorf("with nothing left out there are %d lines", n)
		}
		for range times {
			o.Observe(events["stranger"])
		}
		cancel()
		synctest.Wait()
		if n := logs.FilterMessage("lines of requests were left out of the log").Len(); n != 2 {
			t.Error("the end of the service does not tell what was left out")
		}
	})
}
