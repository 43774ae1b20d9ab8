// Package loadtest does to a whole pimsd what crowds and networks do: more calls than it has places for, callers that send
// slowly or not at all, and an inWebo that is dead, slow or flapping behind every toxic of toxiproxy.
//
// The package has tests alone. They must never look inside the daemon: what they know comes over its sockets, and from
// inWebo.
package loadtest
