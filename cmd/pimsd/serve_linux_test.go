package main

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// The room for garbage counts as in use and takes no memory, also where Go has used and cleared that memory before.
func TestGarbageRoomTakesNoMemory(t *testing.T) {
	used := make([]byte, 64<<20)
	for i := 0; i < len(used); i += os.Getpagesize() {
		used[i] = 0 // now it takes memory
	}
	before := residentPages(t)
	returnPages(used)
	if returned := (before - residentPages(t)) * os.Getpagesize(); returned < len(used)/2 {
		t.Errorf("of %d bytes, %d were returned", len(used), returned)
	}
	runtime.KeepAlive(used)
}

// residentPages returns how many pages of this process are in memory.
func residentPages(t *testing.T) (pages int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages
}
