package sqlite

import "context"

// Migrate opens the store as a pimsd to come does, with those migrations after the present ones, and closes it.
func Migrate(ctx context.Context, dir string, scripts ...string) error {
	store, err := openOrCreate(ctx, Options{Dir: dir}, later(scripts...))
	if err != nil {
		return err
	}
	return store.Close()
}
