// Package replicatest runs pimsd as real processes, one or several on one store, and does to them what happens to
// processes: callers race, a process sleeps past its time, SIGTERM comes at any moment, the database goes away and comes
// back. An inWebo judges every OTP, and knows the truth about every device.
//
// The package has tests alone. They must never look inside a process: what they know comes over its sockets, from its
// log, its end and its store, and from inWebo.
package replicatest
