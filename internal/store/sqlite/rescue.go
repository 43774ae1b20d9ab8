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
	ctx := context.Background() // settles of many callers end with none of them
	if err := w.sameStore(ctx); err != nil {
		return fmt.Errorf("%w, and what inWebo has answered cannot be stored either: %w", broken, err)
	}
	w.health.readable.Store(true)
	return nil
}

func (w *writer) sameStore(ctx context.Context) error {
	if err := w.health.files.check(); err != nil {
		return err
	}
	conn, err := openReadOnly(ctx, w.path, "")
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it was only read
	const identity = "SELECT application_id || ' ' || (SELECT hex(id) FROM store) FROM pragma_application_id"
	switch found, err := ask(ctx, conn, identity); {
	case err != nil:
		return err
	case found != fmt.Sprintf("%d %s", applicationID, w.health.id):
		return fmt.Errorf("%s is not the store that was opened", w.path)
	}
	session, err := openSession(ctx, w.db)
	if err != nil {
		return err
	}
	old := w.session
	w.session = session
	old.close()
	_, err = w.writeBack(passive)
	return err
}
