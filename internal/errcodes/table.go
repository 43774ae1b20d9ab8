package errcodes

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the catalogue as people read it on a terminal: a heading, then a line per code in columns.
// The error is w's.
func WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CODE\tHTTP\tTYPE\tLABEL")
	for _, e := range All() {
		fmt.Fprintf(t, "%v\t%s\t%s\t%s\n", e.Code, strings.Trim(fmt.Sprint(e.Statuses()), "[]"), e.Type, e.Label)
	}
	return t.Flush()
}

// explainWidth is how many characters wide an explanation is.
const explainWidth = 100

// Explain writes the entry for a person on a terminal: what causes the code, and what the caller and the operator can do. The
// error is w's.
func (e Entry) Explain(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%v %s\n\nType: %s\n", e.Code, e.Label, e.Type)
	if len(e.Wire) > 0 {
		fmt.Fprintf(&text, "From inWebo: %s\n", strings.Join(e.Wire, ", "))
	}
	text.WriteString("\npimsd answers it when\n")
	for _, cause := range e.Causes {
		status := strconv.Itoa(cause.HTTP)
		if cause.RetryAfter {
			status += ", with Retry-After"
		}
		text.WriteString(wrapped("  - ", cause.When+" (HTTP "+status+")"))
	}
	text.WriteString("\nThe caller\n" + wrapped("  ", e.Caller) + "\nThe operator\n" + wrapped("  ", e.Operator))
	_, err := io.WriteString(w, text.String())
	return err
}

// wrapped returns the text in lines of at most explainWidth characters. The first begins with lead, the others with blanks.
func wrapped(lead, text string) string {
	var lines strings.Builder
	line := lead
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > explainWidth {
			lines.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.Repeat(" ", len(lead))
		}
		line += word + " "
	}
	return lines.String() + strings.TrimRight(line, " ") + "\n"
}
