package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pimsd/pimsd/internal/config"
	"github.com/pimsd/pimsd/internal/otp"
)

// bounds are time-outs by their name: a setting's key, or package and constant.
type bounds map[string]time.Duration

// docs/timeouts.md has every time-out of the settings and of the code, with its value, and no other.
func TestTheTableOfTimeoutsIsThatOfTheCode(t *testing.T) {
	text := documents(t)["docs/timeouts.md"]
	listed := bounds{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		value, err := time.ParseDuration(row[2])
		if _, twice := listed[row[1]]; err != nil || twice {
			t.Errorf("the row of %s is not right: %v", row[1], err)
		}
		listed[row[1]] = value
	}
	known := settingBounds()
	maps.Copy(known, constantBounds(t))
	if len(known) < 20 {
		t.Fatalf("only %d time-outs were found: the test looks at the wrong places", len(known))
	}
	for name, value := range known {
		switch got, ok := listed[name]; {
		case !ok && !strings.Contains(text, "`"+name+"`"):
			t.Errorf("%s (%v) is missing in docs/timeouts.md", name, value)
		case ok && got != value:
			t.Errorf("%s is %v, and docs/timeouts.md says %v", name, value, got)
		}
	}
	for name := range listed {
		if _, ok := known[name]; !ok {
			t.Errorf("docs/timeouts.md has %s, which there is not", name)
		}
	}
}

// settingBounds are the settings that bound a wait.
func settingBounds() bounds {
	noTimeout := regexp.MustCompile(`^(pin_guard|jwt|quota|idempotency|audit)\.`)
	found := bounds{}
	for _, s := range config.Default().Effective() {
		if value, err := time.ParseDuration(s.Text); err == nil && strings.Trim(s.Text, "0123456789") != "" && !noTimeout.MatchString(s.Key) {
			found[s.Key] = value
		}
	}
	return found
}

// constantBounds are the constants of production code whose names say that they bound a wait.
func constantBounds(t *testing.T) bounds {
	t.Helper()
	scaffolding := regexp.MustCompile(`/(testkit|inwebosim)(/|$)`)
	found := bounds{}
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				scaffolding.MatchString(filepath.Dir(path)) {
				return err
			}
			return found.read(path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

var boundName = regexp.MustCompile(`(?i)(timeout|patience|margin|reserve|allowance)$`)

func (b bounds) read(path string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, value := range spec.Values {
			if d, ok := durationOf(value); ok && boundName.MatchString(spec.Names[i].Name) {
				b[file.Name.Name+"."+spec.Names[i].Name] = d
			}
		}
		return true
	})
	return nil
}

// durationOf reads `5 * time.Second` and `time.Second`.
func durationOf(e ast.Expr) (time.Duration, bool) {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		unit, ok := map[string]time.Duration{
			"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
		}[e.Sel.Name]
		return unit, ok
	case *ast.BinaryExpr:
		factor, ok := e.X.(*ast.BasicLit)
		if !ok || e.Op != token.MUL {
			return 0, false
		}
		n, err := strconv.Atoi(factor.Value)
		unit, ok := durationOf(e.Y)
		return time.Duration(n) * unit, ok && err == nil
	}
	return 0, false
}

// The documents of callers say how long a call takes at most, and say the same: what the default settings allow.
func TestDocumentsAgreeOnTheLongestCall(t *testing.T) {
	t.Parallel()
	c := config.Default()
	longest := c.Load.Wait + c.Conversation.QueueWait + c.Conversation.Deadline
	enrollment := longest + (otp.EnrollmentDeadlines-1)*c.Conversation.Deadline
	want := fmt.Sprintf("%.0f s for an OTP and %.0f s for an enrollment", longest.Seconds(), enrollment.Seconds())
	margin := regexp.MustCompile(`\s+(?://\s+)?`)
	figure := regexp.MustCompile(`\d+ s for an OTP and \d+ s for an enrollment`)
	for _, path := range []string{"../../docs/clients.md", "../../client/client.go", "../../api/openapi.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := figure.FindString(margin.ReplaceAllString(string(text), " ")); got != want {
			t.Errorf("%s says %q, want %q", path, got, want)
		}
	}
}
