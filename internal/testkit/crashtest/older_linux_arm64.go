package crashtest

// olderCalls are those that other architectures have.
func olderCalls() []int { return nil }

// modern returns the newer form of an older call.
func modern(number int, a [6]uint64) (int, [6]uint64) { return number, a }
