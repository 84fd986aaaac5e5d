package engine

import (
	"os"
	"runtime/debug"
)

const (
	// garbage is the heap growth, in percent of what is in use, at which garbage is collected: less than Go's default of 100. Nearly all
	// of it is buffers without pointers, so that more frequent collection costs hardly any time (ADR 5).
	garbage = 75
	// plenty is the memory of the process, in bytes, from which on garbage is collected sooner than that. Only rows near the maximum
	// message size, several at a time, need so much.
	plenty = 768 << 20
)

// CollectGarbage makes Go's runtime keep to the memory that docs/bounds.md promises, for the whole process. Who sets GOGC or GOMEMLIMIT
// decides otherwise.
func CollectGarbage() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbage)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(plenty)
	}
}
