package app

import (
	"runtime"
	"runtime/debug"
)

// BuildInfo says which pimsd this is.
type BuildInfo struct {
	Version   string // of the module; "(devel)" when it was built from a checkout
	Revision  string // the commit, with "+dirty" when the checkout had changes; empty when not known
	GoVersion string
}

// Build reads what the toolchain wrote into the binary.
func Build() BuildInfo {
	b := BuildInfo{Version: "(unknown)", GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value + b.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Revision += "+dirty"
		}
	}
	return b
}
