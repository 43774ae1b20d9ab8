package sqlite

import (
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
)

// params sets the parameters of a statement in their order.
type params struct {
	statement *sqlite.Stmt
	count     int   // of those that are set
	err       error // why one could not be set
}

// next returns the number of the parameter that is set next.
func (p *params) next() int {
	p.count++
	return p.count
}

func (p *params) null()             { p.statement.BindNull(p.next()) }
func (p *params) text(value string) { p.statement.BindText(p.next(), value) }
func (p *params) integer(n int64)   { p.statement.BindInt64(p.next(), n) }
func (p *params) flag(value bool)   { p.statement.BindBool(p.next(), value) }
func (p *params) at(t time.Time)    { p.integer(t.UnixMicro()) }

// blob sets a BLOB; nil is an empty one.
func (p *params) blob(value []byte) { p.statement.BindBytes(p.next(), value) }

// blobOrNull sets a BLOB; nil is NULL.
func (p *params) blobOrNull(value []byte) {
	if value == nil {
		p.null()
		return
	}
	p.blob(value)
}

// atOrNull sets a time; the zero time is NULL.
func (p *params) atOrNull(t time.Time) {
	if t.IsZero() {
		p.null()
		return
	}
	p.at(t)
}

// all sets values of the types that the other methods set.
func (p *params) all(values []any) {
	for _, value := range values {
		switch value := value.(type) {
		case nil:
			p.null()
		case string:
			p.text(value)
		case []byte:
			p.blob(value)
		case int64:
			p.integer(value)
		case int:
			p.integer(int64(value))
		case bool:
			p.flag(value)
		default:
			p.err = fmt.Errorf("a value of the type %T cannot be stored", value)
		}
	}
}
