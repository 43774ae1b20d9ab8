package otp

import (
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
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

// CatchPanic calls do and returns its error. A panic of do becomes an error that names its place. It is for the goroutines of a
// store, on which the answers of other calls depend. Whether a write that panicked is stored is not known.
func CatchPanic(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%w at %s, which is a bug of pimsd", panicError(value), placeOfPanic())
		}
	}()
	return do()
}

// placeOfPanic returns the function, the file and the line of the panic that the caller, a deferred function, has recovered.
func placeOfPanic() string {
	const skip, most = 2, 32
	callers := make([]uintptr, most)
	frames := runtime.CallersFrames(callers[:runtime.Callers(skip, callers)])
	for panicking := false; ; {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime || !more {
			return fmt.Sprintf("%s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line)
		}
		panicking = panicking || inRuntime
	}
}

// panicError describes a panic: the runtime's own text, or the type of any other value, whose text may be a secret.
func panicError(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a value of type %T", value)
}
