package app

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// heapGrowth is by how many per cent the heap may grow between two collections.
// A gateway keeps little and makes little garbage on each call, so collections
// may be rare: at a few megabytes in use this is still far below what a process
// is expected to take.
const heapGrowth = 400

// TuneMemory sets the garbage collector up for a gateway, unless the environment
// does so itself (GOGC, GOMEMLIMIT): collections are rarer than is usual for Go,
// and more frequent again before the memory that the control group allows is
// used up. It changes the whole process and is for the command that serves.
func TuneMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if getenv("GOMEMLIMIT") != "" {
		return
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit := softLimit(string(text)); limit > 0 {
			debug.SetMemoryLimit(limit)
		}
	}
}

// softLimit returns the memory limit for a control group with that memory.max:
// nine tenths, since not all memory is Go's. Zero means that there is none.
func softLimit(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 || n == math.MaxInt64 { // "max" is no number
		return 0
	}
	return n / 10 * 9
}
