package errcodes

import (
	"fmt"
	"io"
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
