//go:build amd64 || arm64

package limiter

// prefetch asks the processor to bring the cache line of s near, and does not
// wait for it: unlike a load, which even a reading of the clock waits for.
//
//go:noescape
func prefetch(s *slot)

// prefetchEntry does so with all lines of e.
//
//go:noescape
func prefetchEntry(e *entry)

// prefetchShare does so with all lines of sh.
//
//go:noescape
func prefetchShare(sh *share)

// prefetchRing does so with all lines of r.
//
//go:noescape
func prefetchRing(r *ring)
