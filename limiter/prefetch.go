//go:build amd64 || arm64

package limiter

// prefetch asks the processor to bring the cache line of s near, and does not
// wait for it: unlike a load, which even a reading of the clock waits for.
//
//go:noescape
func prefetch(s *slot)
