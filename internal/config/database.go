package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/pimsd/pimsd/internal/secret"
)

// ParseDatabaseURL checks that text says where a PostgreSQL database is, in one of the forms of libpq: a URI, which may name
// several hosts or a Unix socket, or a list of `name=value`. Empty text is accepted. The error continues a sentence that
// starts with the name of the setting, and has nothing of the text in it. What the driver alone can judge, such as
// whether the file of a certificate is there, shows when the database is opened.
func ParseDatabaseURL(text string) (secret.Text, error) {
	if err := checkDatabase(text); err != nil {
		return secret.Text{}, err
	}
	return secret.NewText(text), nil
}

// databaseURL is a setting that ParseDatabaseURL checks.
func databaseURL(p *secret.Text) value {
	return value{
		set: func(s string) (err error) {
			*p, err = ParseDatabaseURL(s)
			return err
		},
		text: func() string { return p.Reveal() },
	}
}

var (
	errDatabaseForm = errors.New("is neither a URL such as postgres://user:password@host:5432/database nor a list such as " +
		"host=… user=… dbname=… (it is not shown, since it may hold a password)")
	errControl = errors.New("has a line break or another control character in it: write it as one line " +
		"(it is not shown, since it may hold a password)")
	errEscape = errors.New("has a character that must be percent-encoded in its user or password: write % as %25, # as %23, " +
		"/ as %2F, @ as %40 and a blank as %20 (it is not shown, since it may hold a password)")
	errPort = errors.New("has a port that is not a number from 1 to 65535: a : in the user must be percent-encoded as %3A " +
		"(it is not shown, since it may hold a password)")
	errBracket = errors.New("has a [ without its ]: write an IPv6 address as [::1] (it is not shown, since it may hold a password)")
	errQuery   = errors.New("has a parameter after its ? that is not name=value, or one with a % that begins no two hex digits " +
		"(it is not shown, since it may hold a password)")
	errQuote = errors.New("has a ' without its end, or a name without =: " +
		"quote a value with blanks as '…', and write ' as \\' and \\ as \\\\ " +
		"in it (it is not shown, since it may hold a password)")
)

func checkDatabase(text string) error {
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, "postgres://"), strings.HasPrefix(text, "postgresql://"):
		_, rest, _ := strings.Cut(text, "://")
		return checkDatabaseURI(rest)
	case listStart.MatchString(text) && !strings.Contains(text, "\x00"):
		return checkDatabaseList(text)
	default:
		return errDatabaseForm
	}
}

// checkDatabaseURI checks what follows the scheme: [user[:password]@]host[:port],…[/database][?name=value&…]. As in libpq, the
// user and password end at the first @ before any slash.
func checkDatabaseURI(rest string) error {
	if strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errControl
	}
	hosts := rest
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		if strings.ContainsAny(rest[:i], "# ") || !escapes(rest[:i]) {
			return errEscape
		}
		hosts = rest[i+1:]
	}
	path := ""
	if i := strings.IndexAny(hosts, "/?"); i >= 0 {
		hosts, path = hosts[:i], hosts[i:]
	}
	database, query, _ := strings.Cut(path, "?")
	if strings.ContainsAny(hosts, "@# ") || strings.Contains(database, "@") || !escapes(database) {
		return errEscape // what comes before an @ here is more of a password that was cut at a slash, or at another @
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if err := checkDatabaseHost(host); err != nil {
			return err
		}
	}
	return checkDatabaseQuery(query)
}

// checkDatabaseHost checks host[:port], in which the host may be empty, an address in brackets, or a percent-encoded folder.
func checkDatabaseHost(host string) error {
	if after, bracketed := strings.CutPrefix(host, "["); bracketed {
		address, rest, closed := strings.Cut(after, "]")
		if !closed || address == "" {
			return errBracket
		}
		host = rest
	}
	name, port, hasPort := strings.Cut(host, ":")
	if !escapes(name) {
		return errEscape
	}
	if n, err := strconv.ParseUint(port, 10, 16); hasPort && port != "" && (err != nil || n == 0) {
		return errPort
	}
	return nil
}

func checkDatabaseQuery(query string) error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if strings.Count(pair, "=") != 1 || !escapes(pair) {
			return errQuery
		}
	}
	return nil
}

// escapes reports whether every % of the text begins two hex digits, other than those of a zero byte.
func escapes(text string) bool {
	for {
		_, after, found := strings.Cut(text, "%")
		if !found {
			return true
		}
		if !escaped.MatchString(after) || strings.HasPrefix(after, "00") {
			return false
		}
		text = after[2:]
	}
}

var (
	escaped   = regexp.MustCompile(`^[0-9A-Fa-f]{2}`)
	listStart = regexp.MustCompile(`^\s*[A-Za-z_]+\s*=`)
	// listItem is `name = value` of a list, with its value in single quotes or bare. A backslash escapes what follows it.
	listItem = regexp.MustCompile(`(?s)^\s*[^\s=]+\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:[^'\s\\]|\\.)(?:[^\s\\]|\\.)*\\?|\\?$)`)
)

func checkDatabaseList(text string) error {
	for strings.TrimSpace(text) != "" {
		item := listItem.FindString(text)
		if item == "" {
			return errQuote
		}
		text = text[len(item):]
	}
	return nil
}
