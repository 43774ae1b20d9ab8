package seal

// wipingStack calls do, and writes over what it has left on the stack: a hash leaves its input there. It is for what is
// quick and takes less than stackBytes. Should a garbage collection interrupt it, within those microseconds, registers may
// be saved elsewhere, or the stack moved, and such copies are out of reach.
//
//go:noinline // so that do and overwriteStack begin at the same place of the stack
func wipingStack(do func()) {
	overwriteStack() // so that the stack grows now, and not with a key on it: what it was would stay behind
	do()
	overwriteStack()
}

const stackBytes = 8 << 10

//go:noinline // see above
func overwriteStack() {
	var frames [stackBytes]byte
	keep(frames[:])
}

//go:noinline // so that the compiler cannot know that nobody reads the zeros
func keep([]byte) {}
