package main

import (
	"encoding/json"
	"io"
)

// printJSON writes a listing as indented JSON.
func printJSON(w io.Writer, listing any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(listing)
}
