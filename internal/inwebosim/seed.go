package inwebosim

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"strconv"
)

// digest is the source of all that is derived from the seed.
func digest(seed uint64, kind, name string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strconv.FormatUint(seed, 10) + ";" + kind + ";" + name))
}

// randomSeed draws a seed; it is never 0.
func randomSeed() uint64 {
	var b [8]byte
	crand.Read(b[:])
	return max(1, binary.BigEndian.Uint64(b[:]))
}

// seededPCG is a stream of its own for each seed and name.
func seededPCG(seed uint64, kind, name string) rand.PCG {
	sum := digest(seed, kind, name)
	return *rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]))
}

// bytesOf turns a stream of numbers into one of bytes.
func bytesOf(rng *rand.PCG) io.Reader {
	return rand.NewChaCha8(digest(rng.Uint64(), "bytes", ""))
}

// numbers are distinct four-digit numbers, as the service uses for s_id and ms_id.
func numbers(seed uint64, kind string, count int) []string {
	sum := digest(seed, kind, "")
	first := 1000 + int(binary.BigEndian.Uint16(sum[:2]))%8000
	list := make([]string, count)
	for i := range list {
		list[i] = strconv.Itoa(first + 37*i)
	}
	return list
}
