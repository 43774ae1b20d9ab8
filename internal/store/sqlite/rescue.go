package sqlite

import (
	"context"
	"fmt"
)

// rescue finds out whether settles can be stored though the store is broken: an answer of inWebo that is in hand would be lost with
// the process. The files must be those that were opened, and hold the same store; then a new connection is opened, and what is in
// the log is made durable. The store stays broken all the same, so that nothing new is begun.
func (w *writer) rescue(broken error) error {
	if w.health.readable.Load() {
		return nil
	}
	if err := w.sameStore(); err != nil {
		return fmt.Errorf("%w, and what inWebo has answered cannot be stored either: %w", broken, err)
	}
	w.health.readable.Store(true)
	return nil
}

func (w *writer) sameStore() error {
	if err := w.health.files.check(); err != nil {
		return err
	}
	found, err := openReadOnly(w.path, "")
	if err != nil {
		return err
	}
	defer found.Close() //nolint:errcheck // it was only read
	const identity = "SELECT application_id || ' ' || (SELECT hex(id) FROM store) FROM pragma_application_id"
	switch id, _, err := one(found, (*row).text, identity); {
	case err != nil:
		return err
	case id != fmt.Sprintf("%d %s", applicationID, w.health.id):
		return fmt.Errorf("%s is not the store that was opened", w.path)
	}
	c, err := openWriterConn(context.Background(), w.path) // settles of many callers end with none of them
	if err != nil {
		return err
	}
	_ = w.conn.Close() // what it could say, its last statement has said
	w.conn = c
	_, err = w.writeBack(passive)
	return err
}
