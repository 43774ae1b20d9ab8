package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pimsd/pimsd/internal/secret"
)

// value is one setting's place in a Config. The error of set continues a sentence that starts with the setting's name; it
// repeats what it was given, unless that is a secret or may contain one. What text gives, set takes.
type value struct {
	set    func(string) error
	text   func() string
	words  []string   // that can be set; nil: there are too many
	schema jsonSchema // of the value in a file; nil: any text
}

func plain(p *string, check func(string) error) value {
	return value{
		set: func(s string) error {
			if err := check(s); err != nil {
				return err
			}
			*p = s
			return nil
		},
		text: func() string { return *p },
	}
}

// address is host:port; the host may be empty, the port 0.
func address(p *string) value {
	v := plain(p, func(s string) error {
		_, port, err := net.SplitHostPort(s)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("is %q: give host:port, such as 127.0.0.1:8080", s)
		}
		return nil
	})
	v.schema = matching(addressForm)
	return v
}

// addressForm is what host:port looks like.
const addressForm = `.*:[0-9]{1,5}`

// optionalAddress is host:port, or empty.
func optionalAddress(p *string) value {
	given := address(p)
	set := given.set
	given.set = func(s string) error {
		if s == "" {
			*p = ""
			return nil
		}
		return set(s)
	}
	given.schema = matching("(" + addressForm + ")?")
	return given
}

// path is the name of a file or a folder, or empty.
func path(p *string) value {
	return plain(p, func(s string) error {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("is %q: use a path in UTF-8 without control characters", s)
		}
		return nil
	})
}

// pattern is a text that the whole of the regular expression matches; form says in words what that is.
func pattern(p *string, expr, form string) value {
	re := regexp.MustCompile(`^(?:` + expr + `)$`)
	v := plain(p, func(s string) error {
		if !re.MatchString(s) {
			return fmt.Errorf("is %q: give %s", s, form)
		}
		return nil
	})
	v.schema = matching(expr)
	return v
}

// printable is a text from least to most characters, both included.
func printable(p *string, least, most int) value {
	v := plain(p, func(s string) error {
		n := utf8.RuneCountInString(s)
		unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
		if n < least || n > most || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
			return fmt.Errorf("is %q: give %d to %d printable characters", s, least, most)
		}
		return nil
	})
	v.schema = jsonSchema{"type": "string", "minLength": least, "maxLength": most}
	return v
}

func oneOf(p *string, words ...string) value {
	v := plain(p, func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("is %q: use one of %s", s, strings.Join(words, ", "))
		}
		return nil
	})
	v.words, v.schema = words, jsonSchema{"enum": words}
	return v
}

// duration is one from least to most, both included.
func duration(p *time.Duration, least, most time.Duration) value {
	return value{
		set: func(s string) error {
			d, err := ParseDuration(s)
			if err != nil || d < least || d > most {
				return fmt.Errorf("is %q: use a duration with its unit, from %s to %s", s, durationText(least), durationText(most))
			}
			*p = d
			return nil
		},
		text:   func() string { return durationText(*p) },
		schema: matching(durationForm),
	}
}

// durationForm is what a duration looks like in a file.
const durationForm = `0|[0-9]+d([0-9.]+(ms|s|m|h))*|([0-9.]+(ms|s|m|h))+`

// ParseDuration reads a duration such as 90m or 30d: what time.ParseDuration reads, or a whole number of days before that.
func ParseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	count := uint64(0)
	var err error
	if found {
		count, err = strconv.ParseUint(days, 10, 16)
	} else {
		rest = text
	}
	more := time.Duration(0)
	if rest != "" && err == nil {
		more, err = time.ParseDuration(rest)
	}
	if err != nil || text == "" || found && more < 0 {
		return 0, fmt.Errorf("%q is no duration: use one with its unit, such as 90m or 30d", text)
	}
	return time.Duration(count)*day + more, nil
}

const day = 24 * time.Hour

// durationText leaves out the units that are zero: 1m, not 1m0s. Two days and more are days.
func durationText(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// count is a whole number from least to most, both included.
func count(p *int, least, most int) value {
	return value{
		set: func(s string) error {
			n, err := strconv.Atoi(s)
			if err != nil || n < least || n > most {
				return fmt.Errorf("is %q: use a whole number from %d to %d", s, least, most)
			}
			*p = n
			return nil
		},
		text:   func() string { return strconv.Itoa(*p) },
		schema: jsonSchema{"type": "integer", "minimum": least, "maximum": most},
	}
}

// baseURL is scheme and host, nothing else.
func baseURL(p **url.URL) value {
	return value{
		set: func(s string) error {
			u, err := url.Parse(strings.TrimSuffix(s, "/"))
			if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) ||
				*u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
				return errors.New("is not a URL of scheme and host alone: use one such as https://otp.mpsa.com")
			}
			if !isASCII(u.Host) {
				return errNotASCII
			}
			*p = u
			return nil
		},
		text:   func() string { return (*p).String() },
		schema: matching(`https?://[^/?#@]+/?`),
	}
}

var errNotASCII = errors.New("has a host that is not ASCII: write the name as DNS has it, such as xn--mnchen-3ya.example")

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// secretText is a secret of any form; the package that uses it validates it.
func secretText(p *secret.Text) value {
	return value{
		set: func(s string) error {
			*p = secret.NewText(s)
			return nil
		},
		text: func() string { return p.Reveal() },
	}
}

// secretURL is a URL with one of the schemes, or empty.
func secretURL(p *secret.Text, schemes ...string) value {
	return value{
		set: func(s string) error {
			if s != "" {
				if err := checkURL(s, schemes); err != nil {
					return err
				}
			}
			*p = secret.NewText(s)
			return nil
		},
		text: func() string { return p.Reveal() },
	}
}

func checkURL(s string, schemes []string) error {
	scheme, rest, _ := strings.Cut(s, "://")
	form := fmt.Errorf("is not a URL of the form %s://host… (it is not shown, since it may hold a password)", strings.Join(schemes, ":// or "))
	if !slices.Contains(schemes, scheme) {
		return form
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errControl
	}
	if end := strings.LastIndex(rest, "@"); end >= 0 && (strings.ContainsAny(rest[:end], "#/?@ ") || !escapes(rest[:end])) {
		return errEscape
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return form
	case !isASCII(u.Host):
		return errNotASCII
	}
	return nil
}

// jsonSchema is a JSON schema of draft 7.
type jsonSchema map[string]any

// matching is the schema of a text that the whole of the regular expression matches.
func matching(expr string) jsonSchema {
	return jsonSchema{"type": "string", "pattern": fmt.Sprintf("^(?:%s)$", expr)}
}
