package input

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line that is read, in bytes. No PIN, SMS code or name of an account is longer.
const maxLine = 1 << 10

// ErrLineTooLong means that a line has more bytes than any answer to a prompt.
var ErrLineTooLong = fmt.Errorf("the line has more than %d bytes", maxLine)

// Lines reads text line by line. It never holds more than one line's worth of it.
type Lines struct {
	reader *bufio.Reader
	begun  bool // a line has been read: a byte order mark can come no more
}

// NewLines returns a reader of the lines of r.
func NewLines(r io.Reader) *Lines { return &Lines{reader: bufio.NewReaderSize(r, maxLine+len("\r\n"))} }

// Next returns the next line without its line break, which the last line may lack. After the last line the error is
// io.EOF. It is ErrLineTooLong as soon as the line is known to be too long, however much of it is still to come.
func (l *Lines) Next() (string, error) {
	line, err := l.reader.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", ErrLineTooLong
	case errors.Is(err, io.EOF) && len(line) > 0:
	case err != nil:
		return "", err
	}
	text := string(line)
	clear(line)
	if !l.begun {
		text = trimMark(text)
	}
	l.begun = true
	if text = trimEnd(text); len(text) > maxLine {
		return "", ErrLineTooLong
	}
	return text, nil
}
