package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/pimsd/pimsd/internal/otp"
)

// lookups make the two reads that every request makes. They go past database/sql, whose goroutines, locks and conversions
// take longer than these reads do: they find one row by its key, and nobody needs to interrupt them.
//
// Every commit makes other connections than the writer's read their pages anew, and in a large store those are many. So a
// lookup takes the writer's connection when it finds the writer idle, as a lone caller always does, and when it finds many
// writes: then it waits for the end of the transaction. The others have connections of their own.
type lookups struct {
	beside chan *lookup // closed with the store
	among  *lookup      // on the writer's connection, for who has its turn
	writer *writer
}

// lookup is one of the connections, for one read at a time.
type lookup struct {
	conn           driver.Conn
	fetch, keyByID *query
}

// query is a statement, and room for what it finds.
type query struct {
	driver.Stmt
	values record
}

func (l *lookup) fetching() *query   { return l.fetch }
func (l *lookup) findingKey() *query { return l.keyByID }

// openLookups opens n connections, and shares that of the writer.
func openLookups(ctx context.Context, to driver.Connector, n int, w *writer) (l *lookups, err error) {
	l = &lookups{beside: make(chan *lookup, n), writer: w}
	defer func() {
		if err != nil {
			l.close(len(l.beside))
		}
	}()
	err = w.conn.Raw(func(conn any) (err error) {
		l.among, err = newLookup(ctx, conn.(driver.Conn)) //nolint:forcetypeassert // database/sql has made it one
		return err
	})
	for i := 0; i < n && err == nil; i++ {
		var conn driver.Conn
		if conn, err = to.Connect(ctx); err != nil {
			break
		}
		var one *lookup
		one, err = newLookup(ctx, conn)
		l.beside <- one
	}
	return l, err
}

// newLookup prepares one, which is to be closed even if that fails.
func newLookup(ctx context.Context, conn driver.Conn) (l *lookup, err error) {
	l = &lookup{conn: conn}
	if l.fetch, err = prepareLookup(ctx, conn, fetchText); err == nil {
		l.keyByID, err = prepareLookup(ctx, conn, keyByIDText)
	}
	return l, err
}

func prepareLookup(ctx context.Context, conn driver.Conn, text string) (*query, error) {
	preparer, ok := conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("a connection of the type %T prepares nothing", conn)
	}
	statement, err := preparer.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40q: %w", text, err)
	}
	return &query{Stmt: statement}, nil
}

// close waits for the reads under way and closes all n connections but the writer's, which nobody takes any more by then.
// Later reads fail.
func (l *lookups) close(n int) {
	l.among.finish()
	for range n {
		one := <-l.beside
		one.finish()
		_ = one.conn.Close() // it was only read from
	}
	close(l.beside)
}

// finish gives up the statements.
func (l *lookup) finish() {
	if l == nil {
		return
	}
	for _, q := range []*query{l.fetch, l.keyByID} {
		if q != nil {
			_ = q.Close() // what it could say, its last run has said
		}
	}
}

// row hands over the row of the key, which use must not keep. sql.ErrNoRows says that there is none.
func (l *lookups) row(ctx context.Context, which func(*lookup) *query, key string, use func(scanner) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.writer.turn.TryLock() {
		defer l.writer.turn.Unlock()
		return which(l.among).row(key, use)
	}
	if l.writer.crowd.Load() >= manyWrites {
		return l.writer.look(ctx, func() error { return which(l.among).row(key, use) })
	}
	select {
	case one, open := <-l.beside:
		if !open {
			return errClosed
		}
		defer func() { l.beside <- one }()
		return which(one).row(key, use)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *query) row(key string, use func(scanner) error) (err error) {
	statement, ok := q.Stmt.(driver.StmtQueryContext)
	if !ok {
		return fmt.Errorf("a statement of the type %T takes no queries", q.Stmt)
	}
	rows, err := statement.QueryContext(context.Background(), []driver.NamedValue{{Ordinal: 1, Value: key}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if q.values == nil {
		q.values = make(record, len(rows.Columns()))
	}
	switch err := rows.Next(q.values); {
	case err == io.EOF: //nolint:errorlint // database/sql/driver says that it is this very value
		return sql.ErrNoRows
	case err != nil:
		return err
	}
	return use(q.values)
}

// record is a row as the driver gives it. The types of its values are those of the columns: the tables are STRICT.
type record []driver.Value

// Scan copies the values, as that of sql.Rows does.
func (r record) Scan(dest ...any) error {
	for i, to := range dest {
		number, _ := r[i].(int64)
		text, _ := r[i].(string)
		switch to := to.(type) {
		case *[]byte:
			*to, _ = r[i].([]byte)
		case *string:
			*to = text
		case *otp.Account:
			*to = otp.Account(text)
		case *int64:
			*to = number
		case *uint64:
			*to = uint64(number)
		case *bool:
			*to = number != 0
		case *sql.NullInt64:
			*to = sql.NullInt64{Int64: number, Valid: r[i] != nil}
		case *sql.NullString:
			*to = sql.NullString{String: text, Valid: r[i] != nil}
		default:
			return fmt.Errorf("the column %d cannot be read into %T", i, to)
		}
	}
	return nil
}
