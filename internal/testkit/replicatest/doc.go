// Package replicatest runs pimsd as real processes, one or several on one store, under what happens to processes: callers race, a process
// sleeps past its deadline, SIGTERM comes at any moment, the database goes away and comes back. The simulated inWebo checks every OTP.
//
// The package has only tests. They must never look inside a process: they use its sockets, its log, its exit status, its store, and
// inWebo.
package replicatest
