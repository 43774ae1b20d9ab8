// Package contract has nothing but tests: they hold what others build on pimsd's API to a whole daemon. That is the Go client, the examples
// of docs/clients.md, and clients that generators make of the OpenAPI document. Nothing of the service may depend on it.
package contract
