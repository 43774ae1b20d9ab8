package input

import (
	"io/fs"
	"testing"
)

func TestSecretFileModes(t *testing.T) {
	t.Parallel()
	const refused, accepted, warned = "refused", "accepted", "accepted with a warning"
	for _, tc := range []struct {
		mode            fs.FileMode
		onDisk, mounted string
	}{
		{0o600, accepted, accepted},
		{0o400, accepted, accepted},
		{0o640, accepted, accepted},
		{0o440, accepted, accepted},
		{0o444, refused, warned}, // Docker and Swarm
		{0o644, refused, warned}, // Kubernetes
		{0o660, refused, warned}, // Kubernetes, after fsGroup
		{0o664, refused, warned},
		{0o604, refused, warned},
		{0o666, refused, refused},
		{0o622, refused, refused},
		{0o610, refused, refused},
		{0o755, refused, refused},
		{0o777, refused, refused},
	} {
		for mounted, want := range map[bool]string{false: tc.onDisk, true: tc.mounted} {
			warning, err := checkMode("the-file", tc.mode, mounted)
			got := accepted
			switch {
			case err != nil:
				got = refused
			case warning != "":
				got = warned
			}
			if got != want {
				t.Errorf("%#o, on a secret mount: %v: %s, want %s", tc.mode, mounted, got, want)
			}
		}
	}
}
