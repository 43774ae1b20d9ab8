// Package openapi carries the published contract of the API, openapi.yaml, inside the binary, and the page on which people read it.
//
// The document describes what pimsd answers, no more and no less: the end-to-end tests hold every answer against it, and
// its codes, labels, statuses and causes against the catalogue. The package must never add to the document at run time.
package openapi

import _ "embed"

//go:embed openapi.yaml
var document string

// Document returns the contract: OpenAPI 3.1 in YAML, UTF-8, as `GET /openapi.yaml` answers it.
func Document() string { return document }
