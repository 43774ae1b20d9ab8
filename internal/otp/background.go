package otp

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// protect runs a task whose panic must end neither the process nor what follows the task, such as the settle of an
// answer that exists nowhere else. The observer learns of the panic.
func (s *Service) protect(task string, run func()) {
	defer func() {
		if value := recover(); value != nil {
			s.observer.Panicked(task, panicError(value), debug.Stack())
		}
	}()
	run()
}

// panicError describes a panic: the runtime's own text, or the type of any other value, whose text may be a secret.
func panicError(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a value of type %T", value)
}
