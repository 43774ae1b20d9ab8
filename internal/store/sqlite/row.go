package sqlite

import (
	"fmt"
	"math"
	"time"

	"zombiezen.com/go/sqlite"
)

// row reads the columns of a row in their order. A value that its column cannot have is read as the zero value, and err says
// so: a damaged database may have any.
type row struct {
	statement *sqlite.Stmt
	column    int // that is read next
	err       error
}

// next returns the next column, and whether it has a value of the type. NULL is no value of any type.
func (r *row) next(want sqlite.ColumnType) (column int, ok bool) {
	column = r.column
	r.column++
	got := r.statement.ColumnType(column)
	if got != want {
		r.misread(column, got)
	}
	return column, got == want
}

func (r *row) misread(column int, value any) {
	if r.err == nil {
		r.err = fmt.Errorf("the column %d cannot be read, it has %v", column, value)
	}
}

// isNull reports whether the next column is NULL, and if so passes over it.
func (r *row) isNull() bool {
	if !r.statement.ColumnIsNull(r.column) {
		return false
	}
	r.column++
	return true
}

// atEnd reports whether all columns are read.
func (r *row) atEnd() bool { return r.column == r.statement.ColumnCount() }

func (r *row) integer() int64 {
	column, ok := r.next(sqlite.TypeInteger)
	if !ok {
		return 0
	}
	return r.statement.ColumnInt64(column)
}

// between reads an integer within bounds.
func (r *row) between(least, most int64) int64 {
	n := r.integer()
	if n < least || n > most {
		r.misread(r.column-1, n)
		return 0
	}
	return n
}

func (r *row) count() int     { return int(r.between(0, math.MaxInt)) }
func (r *row) number() uint64 { return uint64(r.between(0, math.MaxInt64)) }
func (r *row) flag() bool     { return r.between(0, 1) == 1 }

func (r *row) text() string {
	column, ok := r.next(sqlite.TypeText)
	if !ok {
		return ""
	}
	return r.statement.ColumnText(column)
}

// anything reads a value of any type as text.
func (r *row) anything() string {
	r.column++
	return r.statement.ColumnText(r.column - 1)
}

// blob reads a copy of a BLOB; NULL is nil.
func (r *row) blob() []byte {
	if r.isNull() {
		return nil
	}
	column, ok := r.next(sqlite.TypeBlob)
	if !ok {
		return nil
	}
	value := make([]byte, r.statement.ColumnLen(column))
	r.statement.ColumnBytes(column, value)
	return value
}

// at reads a time.
func (r *row) at() time.Time { return time.UnixMicro(r.integer()).UTC() }

// atOrZero reads a time that may be the zero time, as params.atOrNull stores it.
func (r *row) atOrZero() time.Time {
	if r.isNull() {
		return time.Time{}
	}
	return r.at()
}
