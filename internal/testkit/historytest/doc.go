// Package historytest runs random histories of an account: every verb of otp.Service under every fault, in one or two processes, on every
// kind of store, and checks what is left against the simulator's state of the device.
//
// Three tables describe it: verbs, faults and stores. A method of otp.Service that neither a verb drives nor the list of those that only
// read names fails a test. The package has only tests.
package historytest
