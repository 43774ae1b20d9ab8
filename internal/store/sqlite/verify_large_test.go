package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeLarge makes a store that was closed larger than one that is looked over before it is served.
func makeLarge(t *testing.T, dir string) {
	t.Helper()
	s := openWith(t, dir, builtIn())
	execute(t, s, `WITH RECURSIVE counter (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 1100)
		INSERT INTO former_device SELECT 'serial ' || n, 'large', 1, zeroblob(65000) FROM counter`)
	closeStore(t, s)
	info, err := os.Stat(filepath.Join(dir, FileName))
	must(t, err)
	if info.Size() <= verifyFirst {
		t.Fatalf("the store has %d bytes", info.Size())
	}
}

// A large store that was closed is served at once, and looked over meanwhile.
func TestLargeStoreIsVerifiedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damaged string
		want    string
	}{
		"whole":   {"", ""},
		"damaged": {"device_serial", "the store is damaged: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := newDir(t)
			writeRow(t, s, 1)
			closeStore(t, s)
			makeLarge(t, dir)
			if tc.damaged != "" {
				damage(t, dir, tc.damaged)
			}
			s = openWith(t, dir, builtIn())
			defer closeStore(t, s)
			if s.verified == nil {
				t.Fatal("it is not looked over meanwhile")
			}
			<-s.verified
			if got := s.Condition(t.Context()).Damage; !strings.HasPrefix(got, tc.want) || (tc.want == "") != (got == "") {
				t.Errorf("the condition says %q, want %q", got, tc.want)
			}
		})
	}
}

// A large store that was not closed, or is to be migrated, is looked over before it is served.
func TestLargeStoreThatIsVerifiedFirst(t *testing.T) {
	t.Parallel()
	dir, s := newDir(t)
	closeStore(t, s)
	makeLarge(t, dir)
	path := filepath.Join(dir, FileName)
	if !builtIn().mayVerifyLater(path) {
		t.Error("a large store that was closed is looked over first")
	}
	if later("SELECT 1;").mayVerifyLater(path) {
		t.Error("a store is migrated before it is looked over")
	}
	writeFile(t, dir, FileName+"-wal", "log")
	if builtIn().mayVerifyLater(path) {
		t.Error("a store that was not closed is served before it is looked over")
	}
}
