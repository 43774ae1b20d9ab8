// Package replicatest runs pimsd as real processes, one or several on one store, under what happens to processes: callers race, a process
// sleeps past its deadline, SIGTERM comes at any moment, the database goes away and comes back. The simulated inWebo checks every OTP.
// These tests must never look inside a process: they use its sockets, its log, its exit status, its store, and inWebo.
//
// The tests of linearize_test.go let two replicas within the test's process serve random calls of every verb to one account, while
// sessions of the database are ended and answers of inWebo are lost, and check with porcupine that what the callers saw could have
// happened one call after the other. No acknowledged change may be missing from what any replica reads later. They know the verbs by
// their documented effects, which linearize_model_test.go states, and must never look at what a replica has stored.
//
// The package has only tests.
package replicatest
