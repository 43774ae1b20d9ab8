//go:build tools

package contract_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pimsd/pimsd/internal/testkit/pimsdtest"
)

// What the example in Kotlin needs: Debian's build of Android's JSON, and the library of the language.
const (
	jsonOfAndroid = "/usr/share/java/com.android.json.jar"
	kotlinLibrary = "/usr/share/java/kotlin-stdlib.jar"
)

// The example in Kotlin compiles, enrolls, gets an OTP, waits when it is told to, and tells a wrong PIN, one that is held back and one
// that is locked apart. OkHttp is that of testdata/kotlin.
func TestKotlinExample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	example := filepath.Join(dir, "example.kt")
	if err := os.WriteFile(example, []byte(examples(t, "kotlin")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("testdata/kotlin/*.kt")
	if err != nil || len(sources) != 2 {
		t.Fatalf("%q, %v", sources, err)
	}
	command(t, ".", "", nil, "kotlinc", append(sources, example, "-cp", jsonOfAndroid, "-d", dir)...)
	program := []string{"java", "-cp", dir + ":" + jsonOfAndroid + ":" + kotlinLibrary, "MainKt"}

	a := fresh(t, pimsdtest.Start(t), "alice", "246810")
	if given := run(t, a, program[0], append(program[1:], "enroll")...); !a.Verify(given) {
		t.Errorf("the OTP is not accepted: %s", given)
	}
	commands := map[string][]string{"kotlin": program}
	expectWaiting(t, commands)
	expectThreeMeanings(t, commands)
	expectAdvice(t, commands)
}
