package pgtest

import (
	"context"
	"time"
)

// startPatience is how long a server may take until it answers.
const startPatience = time.Minute

// poll calls ready until it returns nil, and returns its error when that takes longer than startPatience.
func poll(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
