// Package testkit has what the tests of several packages share: a simulated inWebo, and temporary files in memory, where a sync costs
// nothing. Its subpackages have the larger harnesses.
//
// It is test support: no production package may import it.
package testkit
