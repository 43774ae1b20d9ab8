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

// lookups are the reads that calls make: of one row, by its key. They are done on the writer's connection, between two
// transactions: every commit makes other connections read their pages again, and in a large store those are many. They go past
// database/sql, whose goroutines, locks and conversions take longer than these reads do.
type lookups struct{ fetch, withResponse, keyByID *query }

func (l *lookups) fetching() *query     { return l.fetch }
func (l *lookups) fetchingCall() *query { return l.withResponse }
func (l *lookups) findingKey() *query   { return l.keyByID }

// prepareLookups prepares the lookups on a connection. They are to be closed even if that fails.
func prepareLookups(ctx context.Context, conn *sql.Conn) (l *lookups, err error) {
	l = &lookups{}
	err = conn.Raw(func(raw any) (err error) {
		for to, text := range map[**query]string{&l.fetch: fetchText, &l.withResponse: withResponseText, &l.keyByID: keyByIDText} {
			if *to, err = prepareQuery(ctx, raw, text); err != nil {
				return err
			}
		}
		return nil
	})
	return l, err
}

func (l *lookups) close() {
	if l == nil {
		return
	}
	for _, q := range []*query{l.fetch, l.withResponse, l.keyByID} {
		if q != nil {
			_ = q.Close() // what it could say, its last run has said
		}
	}
}

// look is a read that waits for the writer.
type look func(l *lookups)

// lookUp has a row read by the writer, between two transactions, and returns it as scan does. The caller waits until ctx ends,
// however long the disk takes. sql.ErrNoRows means that there is none.
func lookUp[T any](ctx context.Context, w *writer, which func(*lookups) *query, scan func(scanner) (T, error), keys ...string) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	type result struct {
		row T
		err error
	}
	answer := make(chan result, 1)
	read := func(l *lookups) {
		var r result
		r.err = otp.CatchPanic(func() error {
			return which(l).row(keys, func(from scanner) (err error) {
				r.row, err = scan(from)
				return err
			})
		})
		answer <- r
	}
	select {
	case w.looks <- read:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-w.quit:
		return none, errClosed
	}
	select {
	case r := <-answer:
		return r.row, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// query is a statement, and room for what it finds.
type query struct {
	driver.Stmt
	values record
}

func prepareQuery(ctx context.Context, conn any, text string) (*query, error) {
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

// row hands over the row of the keys, which use must not keep.
func (q *query) row(keys []string, use func(scanner) error) (err error) {
	statement, ok := q.Stmt.(driver.StmtQueryContext)
	if !ok {
		return fmt.Errorf("a statement of the type %T takes no queries", q.Stmt)
	}
	args := make([]driver.NamedValue, len(keys))
	for i, key := range keys {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: key}
	}
	rows, err := statement.QueryContext(context.Background(), args)
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

// record is a row as the driver returns it. The types of its values are those of the columns: the tables are STRICT.
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
		case *int:
			*to = int(number)
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
