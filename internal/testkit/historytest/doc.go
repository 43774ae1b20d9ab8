// Package historytest lets random histories happen to an account: every verb of otp.Service under every fault, in one or two
// processes, on every kind of store. The simulator's truth about the device is the judge of what is left.
//
// Three tables describe it: verbs, faults and stores. A method of otp.Service that neither a verb drives nor the list of those
// that only read names fails a test.
//
// The package has tests alone.
package historytest
