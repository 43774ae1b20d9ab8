package config

import (
	"fmt"
	"slices"
)

// settingName is a way to name a setting: in the file, in the environment and on the command line. A secret has a second one, for the
// file that holds it.
type settingName struct {
	setting

	isFile                bool // the value is the file that holds the secret
	inYAML, inEnv, onLine string
}

// namesOf returns all names of the settings, in their order.
func namesOf(settings []setting) (all []settingName) {
	for _, s := range settings {
		all = append(all, settingName{s, false, s.Key, s.env(), s.flag()})
		if f := s.inFile(); s.Secret {
			all = append(all, settingName{s, true, f.Key, f.env(), f.flag()})
		}
	}
	return all
}

// find returns the name whose form is the text. The error is the fault of a text that is no name.
func (l *loader) find(text string, form func(settingName) string, more ...string) (settingName, error) {
	i := slices.IndexFunc(l.names, func(n settingName) bool { return form(n) == text })
	if i >= 0 {
		return l.names[i], nil
	}
	for _, n := range l.names {
		more = append(more, form(n))
	}
	return settingName{}, fmt.Errorf("is no setting: the nearest is %s", nearest(text, more))
}
