package deploy_test

import (
	"context"
	"errors"
	"flag"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

var shot = flag.String("shot", "", "write what the browser shows into this file, as PNG")

// dev is a running `pimsd dev`, as it tells of itself.
type dev struct{ ops, simulator, key string }

// startDev starts one on ports of its own, and waits until it greets.
func startDev(t *testing.T) dev {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	const anyPort = "127.0.0.1:0"
	cmd := exec.CommandContext(ctx, pimsd, "dev", "--listen", anyPort, "--ops-listen", anyPort,
		"--simulator-listen", anyPort, "--simulator-control", anyPort)
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var out pimsdtest.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it ends because it was told to
	})
	for range 600 {
		if strings.Contains(out.String(), "Ctrl-C ends it.") {
			find := func(expr string) string { return regexp.MustCompile(expr).FindStringSubmatch(out.String())[1] }
			return dev{find(`(http://[^ ]+)/docs/`), find(`Simulator: (http://[^ ]+)`), find(`Bearer (pims_\w+)`)}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("pimsd dev does not greet:\n%s", out.String())
	return dev{}
}

// browser is a headless Chromium, with what it asked for and complained about.
func browser(t *testing.T) (ctx context.Context, asked, complaints *pimsdtest.Buffer) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1200, 2000),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	asked, complaints = &pimsdtest.Buffer{}, &pimsdtest.Buffer{}
	ctx, end = chromedp.NewContext(ctx, chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			_, _ = asked.Write([]byte(e.Request.URL + "\n"))
		case *log.EventEntryAdded:
			_, _ = complaints.Write([]byte(e.Entry.Text + "\n"))
		case *runtime.EventExceptionThrown:
			_, _ = complaints.Write([]byte(e.ExceptionDetails.Text + "\n"))
		}
	}))
	t.Cleanup(end)
	return ctx, asked, complaints
}

// A person opens the page of the API, which has the demo key already, and gets an OTP that verifies. The page loads nothing from
// elsewhere, no address has the key, and the browser finds nothing to complain about.
func TestAPersonTriesTheAPIInABrowser(t *testing.T) {
	d := startDev(t)
	ctx, asked, complaints := browser(t)
	const call = "#operations-authentication-getOtpWithPin"
	err := chromedp.Do(ctx,
		chromedp.Navigate(d.ops+"/docs/"),
		chromedp.WaitVisible(call),
		chromedp.WaitVisible("button.authorize.locked"),
		chromedp.Click(call+" .opblock-summary-control"),
		chromedp.Click(call+" .try-out__btn"),
		chromedp.Click(call+" button.execute"),
		chromedp.WaitVisible(call+" .live-responses-table .response-col_status"),
	)
	if *shot != "" {
		picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err := errors.Join(err, os.WriteFile(*shot, picture, 0o600)); err != nil {
			t.Error(err)
		}
	}
	if err != nil {
		t.Fatalf("%v\nasked for:\n%s\ncomplaints:\n%s", err, asked, complaints)
	}
	shown := func(what string) string {
		text, err := chromedp.Run(ctx, chromedp.Text(call+" .live-responses-table tbody "+what))
		if err != nil {
			t.Error(err)
		}
		return text
	}
	status, answer := shown(".response-col_status"), shown(".highlight-code")
	found := regexp.MustCompile(`"otp":\s*"([a-z0-9]+)"`).FindStringSubmatch(answer)
	if !strings.HasPrefix(status, "200") || found == nil || !verifies(t, d, found[1]) {
		t.Errorf("the page shows %q: %s", status, answer)
	}
	for line := range strings.Lines(asked.String()) {
		if !strings.HasPrefix(line, d.ops+"/docs/") && !strings.HasPrefix(line, "data:") || strings.Contains(line, d.key) {
			t.Errorf("the page asks elsewhere, or with the key in the address: %s", line)
		}
	}
	if text := complaints.String(); text != "" {
		t.Errorf("the browser complains: %s", text)
	}
}

// An address that names a call opens it, descriptions are shown as the Markdown that they are, and the models are folded.
func TestThePageOpensACall(t *testing.T) {
	d := startDev(t)
	ctx, asked, complaints := browser(t)
	const call = "#operations-authentication-getOtpWithPin"
	err := chromedp.Do(ctx,
		chromedp.Navigate(d.ops+"/docs/#/authentication/getOtpWithPin"),
		chromedp.WaitVisible(call+".is-open .opblock-body"),
	)
	if err != nil {
		t.Fatalf("%v\nasked for:\n%s\ncomplaints:\n%s", err, asked, complaints)
	}
	count := func(what string) int {
		n, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("`+what+`").length`))
		if err != nil {
			t.Error(err)
		}
		return n
	}
	models, marked := count("section.models .model-container"), count(".info .description strong, .opblock-description code")
	if models > 0 || marked < 5 {
		t.Errorf("%d models are shown, and %d words of the descriptions are set apart", models, marked)
	}
}

// Codes in descriptions are links, as are those below examples, and they lead to the explanation of the code in the same binary.
func TestThePageLinksCodes(t *testing.T) {
	d := startDev(t)
	ctx, asked, complaints := browser(t)
	const (
		call      = "#operations-authentication-getOtpWithPin"
		described = call + ` .responses-table .renderedMarkdown a[href="errors#2308"]`
		example   = call + ` .responses-table .explained a[href="errors#2308"]`
	)
	var target string
	err := chromedp.Do(ctx,
		chromedp.Navigate(d.ops+"/docs/#/authentication/getOtpWithPin"),
		chromedp.WaitVisible(described),
		chromedp.WaitVisible(example),
	)
	if err == nil {
		target, err = chromedp.Run(ctx, chromedp.Evaluate[string]("document.querySelector('"+example+"').href"))
	}
	var explained string
	if err == nil {
		err = chromedp.Do(ctx, chromedp.Navigate(target), chromedp.WaitVisible("section:target"))
	}
	if err == nil {
		explained, err = chromedp.Run(ctx, chromedp.Text("section:target"))
	}
	if err != nil {
		t.Fatalf("%v\nasked for:\n%s\ncomplaints:\n%s", err, asked, complaints)
	}
	if target != d.ops+"/docs/errors#2308" || !strings.Contains(explained, "pin_locked") {
		t.Errorf("the link leads to %s: %s", target, explained)
	}
	if text := complaints.String(); text != "" {
		t.Errorf("the browser complains: %s", text)
	}
}

// verifies asks the simulator as a relying party does.
func verifies(t *testing.T, d dev, otp string) bool {
	t.Helper()
	var answer struct{ Err string }
	get(t, d.simulator+"/FS?"+url.Values{
		"action": {"authenticateExtended"}, "serviceId": {"1"}, "userId": {"demo"}, "token": {otp}, "format": {"json"},
	}.Encode(), &answer)
	return answer.Err == "OK"
}
