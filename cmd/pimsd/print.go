package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/pimsd/pimsd/internal/input"
	"github.com/pimsd/pimsd/internal/otp"
)

// output is a command's standard output. It remembers the first error of a write, which becomes the command's.
type output struct {
	to  io.Writer
	err error
}

// Write is as io.Writer says.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		err = fmt.Errorf("the output cannot be written: %w", err)
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// fileOf returns the file that a command's standard output is, or nil.
func fileOf(w io.Writer) *os.File {
	if out, ok := w.(*output); ok {
		w = out.to
	}
	file, _ := w.(*os.File)
	return file
}

// printJSON writes a listing as indented JSON, in which nothing but printable characters are written as themselves.
func printJSON(w io.Writer, listing any) error {
	text, err := json.MarshalIndent(listing, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(input.PrintableJSON(text), '\n'))
	return err
}

// show writes a listing as JSON, or as human writes it.
func show[T any](w io.Writer, asJSON bool, listing T, human func(io.Writer, T) error) error {
	if asJSON {
		return printJSON(w, listing)
	}
	return human(w, listing)
}

// newTable returns a table for printRow, with a heading unless that is empty. It is written by its Flush.
func newTable(w io.Writer, heading string) *tabwriter.Writer {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if heading != "" {
		_, _ = fmt.Fprintln(table, heading)
	}
	return table
}

// printRow writes a line of a table. A cell shows characters that are not printable as escapes, so that no name from
// outside can write into another cell, or control the terminal.
func printRow(table io.Writer, cells ...any) {
	shown := make([]string, len(cells))
	for i, cell := range cells {
		shown[i] = input.Printable(fmt.Sprint(cell))
	}
	_, _ = fmt.Fprintln(table, strings.Join(shown, "\t")) // an error stays in the table until its Flush
}

// accountName returns the name of an account as a table shows it: in quotes where its blanks could not be seen.
func accountName(account otp.Account) string {
	if strings.TrimSpace(string(account)) != string(account) {
		return strconv.Quote(string(account))
	}
	return string(account)
}

// wrapped returns the text in lines of at most width characters. The first begins with lead, the others with as many blanks.
func wrapped(lead, text string, width int) string {
	lines := input.Wrap(text, width-len(lead))
	return lead + strings.Join(lines, "\n"+strings.Repeat(" ", len(lead))) + "\n"
}
