package coretest

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// page is that of the system, or less, where they are bigger.
const page = 4096

// Of gives all that a process can read of its memory, but for pages of zeros. The process is a child of the test: of others
// the kernel may refuse it.
func Of(tb testing.TB, pid int) string {
	tb.Helper()
	return within(tb, pid, 0, math.MaxInt64)
}

// Near gives the same of this process, within reach bytes on either side of what an address points to.
func Near(tb testing.TB, address any, reach int64) string {
	tb.Helper()
	at := int64(reflect.ValueOf(address).Pointer()) &^ (page - 1)
	return within(tb, os.Getpid(), at-reach, at+reach)
}

func within(tb testing.TB, pid int, first, end int64) string {
	tb.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	memory, err := os.Open(filepath.Join(proc, "mem"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		tb.Fatal(err)
	}
	var all strings.Builder
	for area := range strings.Lines(string(maps)) {
		read(tb, memory, area, first, end, &all)
	}
	return all.String()
}

// read reads one line of /proc/PID/maps: from-to mode offset device inode, and perhaps a name.
func read(tb testing.TB, memory *os.File, area string, first, end int64, all *strings.Builder) {
	tb.Helper()
	fields := strings.Fields(area)
	if fields[1][0] != 'r' || strings.HasPrefix(fields[len(fields)-1], "[v") { // [vvar] and [vsyscall] are the kernel's
		return
	}
	var from, to int64
	if _, err := fmt.Sscanf(fields[0], "%x-%x", &from, &to); err != nil {
		tb.Fatal(err)
	}
	got, zeros := make([]byte, page), make([]byte, page)
	for from, to = max(from, first), min(to, end); from < to; from += page {
		if _, err := memory.ReadAt(got, from); err != nil {
			tb.Fatalf("%s: %v", area, err)
		}
		if !bytes.Equal(got, zeros) {
			all.Write(got)
		}
	}
}
