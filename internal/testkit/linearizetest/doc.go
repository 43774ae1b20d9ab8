// Package linearizetest lets two replicas on one PostgreSQL database serve random calls of every verb to one account, while sessions of
// the database are ended and answers of inWebo are lost, and checks with porcupine that what the callers saw could have happened one
// call after the other. No acknowledged change may be missing from what any replica reads later.
//
// The package has tests alone. It knows the verbs by their documented effects, which model_test.go states; it must never look at what a
// replica has stored.
package linearizetest
