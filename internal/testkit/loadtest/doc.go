// Package loadtest tests a whole pimsd under load and on bad networks: more calls than it has places for, callers that send slowly or not
// at all, and an inWebo that is dead, slow or flapping behind every toxic of toxiproxy.
//
// The package has only tests. They must never look inside the daemon: they use its sockets, and inWebo.
package loadtest
