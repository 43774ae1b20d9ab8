package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pimsd/pimsd/internal/input"
)

// Input is all that a configuration depends on.
type Input struct {
	Flags    *pflag.FlagSet                    // with the flags of Flags, parsed; nil: none
	Environ  []string                          // NAME=value, as os.Environ returns it
	ReadFile func(path string) ([]byte, error) // reads the files of settings and issuers
	// ReadSecret reads a file that holds a secret, and refuses one that others could read; nil means ReadFile.
	ReadSecret  func(path string) ([]byte, error)
	WithoutKeys bool // the sealing keys are not used: their file is not read
	Root        bool // the process runs as root, which decides about the default of data_dir
}

// Load reads file, environment and flags; of a setting that is given in several of them, the last of these wins.
// The error is of type Faults and names everything that is wrong, also in a value that another one overrides.
func Load(in Input) (*Config, error) {
	if in.ReadSecret == nil {
		in.ReadSecret = in.ReadFile
	}
	l := &loader{in: in, config: Default(), from: map[string]source{}, broken: map[string]bool{}}
	l.settings = l.config.settings()
	l.names = namesOf(l.settings)
	l.readFile()
	l.readEnviron()
	l.readFlags()
	l.readIssuers()
	l.resolveDataDir()
	l.config.derive()
	l.checkRules()
	l.checkTraceHeaders()
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return l.config, nil
}

// source is one of the places that settings come from.
type source int

const (
	fromFile source = iota + 1
	fromEnviron
	fromFlags
)

type loader struct {
	in       Input
	config   *Config
	settings []setting
	names    []settingName
	from     map[string]source // by key: which source gave the setting last
	broken   map[string]bool   // by key: a value was refused
	faults   Faults
}

// apply sets a setting to the text that a source gave under that name. A setting of a higher source replaces that of a lower one; a
// secret that one source gives twice, by value and by file, is a fault.
func (l *loader) apply(s settingName, src source, origin, text string) {
	if before := l.config.origins[s.Key]; s.Secret && l.from[s.Key] == src {
		l.fault(origin, "and %s both set the same setting: keep one", before)
		return
	}
	l.from[s.Key], l.config.origins[s.Key] = src, origin
	delete(l.config.files, s.Key)
	if s.isFile {
		l.config.files[s.Key] = text
		var ok bool
		if text, ok = l.readSecret(s.setting, origin, text); !ok {
			return
		}
	}
	text = input.Trim(text)
	if err := s.value.set(text); err != nil {
		l.broken[s.Key] = true
		l.fault(origin, "%v%s", err, adviceIfEmpty(text))
	}
}

// adviceIfEmpty continues the error of a value that is refused: an empty one often comes from a variable of a script that is not set.
func adviceIfEmpty(text string) string {
	if text == "" {
		return ", or leave it out for its default"
	}
	return ""
}

// readSecret returns the content of the file of a secret, and reports whether it can be used. An empty file is a fault, because the
// empty setting may mean something else, such as another store.
func (l *loader) readSecret(s setting, origin, path string) (text string, ok bool) {
	if s.Key == sealKeys && l.in.WithoutKeys {
		return "", true
	}
	if path == "" {
		l.broken[s.Key] = true
		l.fault(origin, "is empty: name the file, or leave it out")
		return "", false
	}
	content, err := l.in.ReadSecret(path)
	switch {
	case err != nil:
		l.fault(origin, "names a file that cannot be used: %v", err)
	case len(input.Trim(content)) == 0:
		l.fault(origin, "names a file that is empty: write the secret into %s", path)
	default:
		return string(content), true
	}
	l.broken[s.Key] = true
	return "", false
}

// readFile applies the settings of the configuration file, which the flag or the environment names. Without a name there is none.
func (l *loader) readFile() {
	name := l.environ(EnvFile)
	if f := l.changedFlag(FlagFile); f != nil {
		if name = f.Value.String(); name == "" {
			l.fault("--"+FlagFile, emptyFlag)
		}
	}
	if name == "" {
		return
	}
	content, err := l.in.ReadFile(name)
	if err != nil {
		l.fault(name, "cannot be read: %v", err)
		return
	}
	l.readYAML(name, content)
}

// readEnviron applies the settings of the environment. A PIMSD_ variable that is no setting is a fault.
func (l *loader) readEnviron() {
	for _, entry := range l.in.Environ {
		variable, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(variable, envPrefix) || variable == EnvFile || serviceLink.MatchString(entry) {
			continue
		}
		s, err := l.find(variable, func(n settingName) string { return n.inEnv }, EnvFile)
		if err != nil {
			l.fault(variable, "%v", err)
			continue
		}
		l.apply(s, fromEnviron, variable, text)
	}
}

// serviceLink matches the variables that Kubernetes sets in every pod of a namespace with a Service whose name starts with pimsd.
var serviceLink = regexp.MustCompile(`^PIMSD(_\w+)?_(SERVICE_HOST=|SERVICE_PORT(_\w+)?=\d|PORT=\w+://|PORT_\d+_\w+=)`)

// readFlags applies the settings of the command line.
func (l *loader) readFlags() {
	for _, s := range l.names {
		f := l.changedFlag(s.onLine)
		if f == nil || s.Secret != s.isFile { // the value of a secret is never a flag: a command may have another flag of that name
			continue
		}
		if s.Key == "data_dir" && f.Value.String() == "" {
			l.broken[s.Key] = true
			l.fault("--"+s.onLine, emptyFlag)
			continue
		}
		l.apply(s, fromFlags, "--"+s.onLine, f.Value.String())
	}
}

// emptyFlag is the fault of an empty flag that says where the store is: a variable of a script is not set, and the default would be
// another store.
const emptyFlag = "is empty, as when a variable of the shell is not set: name the place, or leave the flag out for the default"

// changedFlag returns the flag of that name if the command line has it, or else nil.
func (l *loader) changedFlag(name string) *pflag.Flag {
	if l.in.Flags == nil || !l.in.Flags.Changed(name) {
		return nil
	}
	return l.in.Flags.Lookup(name)
}

// environ returns the value of an environment variable; empty without one.
func (l *loader) environ(name string) string {
	text, _ := input.LookupEnv(l.in.Environ, name)
	return text
}

// resolveDataDir chooses the data directory when none is set.
func (l *loader) resolveDataDir() {
	if l.config.DataDir != "" || l.broken["data_dir"] {
		return
	}
	if _, given := l.config.origins["data_dir"]; given {
		l.config.origins["data_dir"] = originDefault // an empty name is no choice
	}
	state, _, _ := strings.Cut(l.environ("STATE_DIRECTORY"), ":")
	share, home := l.environ("XDG_DATA_HOME"), l.environ("HOME")
	switch {
	case state != "":
		l.config.DataDir = state
	case l.in.Root:
		l.config.DataDir = "/var/lib/pimsd"
	case filepath.IsAbs(share):
		l.config.DataDir = filepath.Join(share, "pimsd")
	case home != "":
		l.config.DataDir = filepath.Join(home, ".local", "share", "pimsd")
	default:
		l.fault("data_dir", "has no default for a user without a home: set %s", "PIMSD_DATA_DIR")
	}
}

// Flags adds a flag for every setting. A secret has none but the one that names its file, because arguments can be read by
// every user of the machine.
func Flags(fs *pflag.FlagSet, except ...string) {
	fs.String(FlagFile, "", fileUsage)
	addFlags(fs, func(s setting) bool { return !slices.Contains(except, s.Key) })
}

// StoreFlags adds the flags that say where the file of settings and the store are.
func StoreFlags(fs *pflag.FlagSet) {
	fs.String(FlagFile, "", fileUsage)
	FlagsOf(fs, "data_dir", "database_url", "seal.keys")
}

// FlagsOf adds the flags of some settings.
func FlagsOf(fs *pflag.FlagSet, keys ...string) {
	addFlags(fs, func(s setting) bool { return slices.Contains(keys, s.Key) })
}

const fileUsage = "the `file` of settings (" + EnvFile + ")"

func addFlags(fs *pflag.FlagSet, wanted func(setting) bool) {
	for _, s := range Default().settings() {
		switch what := strings.ReplaceAll(s.What, "`", ""); { // pflag reads backquotes as the name of the value
		case !wanted(s):
		case s.Secret:
			fs.String(s.inFile().flag(), "", fmt.Sprintf("the `file` that holds %s (%s)", s.Key, s.inFile().env()))
		default:
			fs.Var(&flagValue{s.Preset, s.Unit}, s.flag(), fmt.Sprintf("%s (%s)", what, s.env()))
		}
	}
}

// FlagWords returns, by the names of flags, the words that a setting can have, of settings that have one of a few.
func FlagWords() map[string][]string {
	words := map[string][]string{}
	for _, s := range Default().settings() {
		if s.value.words != nil {
			words[s.flag()] = s.value.words
		}
	}
	return words
}

// flagValue is the text of a flag, and what such a text looks like.
type flagValue struct{ text, unit string }

func (v *flagValue) String() string { return v.text }

func (v *flagValue) Type() string { return v.unit }

// Set keeps the text as it is: Load reads it.
func (v *flagValue) Set(text string) error {
	v.text = text
	return nil
}

// FlagGroup names the flags of settings that belong together.
type FlagGroup struct {
	Title string
	Flags []string
}

// FlagGroups returns the flags that Flags adds, as docs/configuration.md groups them.
func FlagGroups() (groups []FlagGroup) {
	for _, g := range Default().groups() {
		names := []string{}
		for _, s := range g.Settings {
			if s.Secret {
				s = s.inFile()
			}
			names = append(names, s.flag())
		}
		groups = append(groups, FlagGroup{g.Title, names})
	}
	groups[0].Flags = append([]string{FlagFile}, groups[0].Flags...)
	return groups
}
