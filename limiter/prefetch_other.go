//go:build !amd64 && !arm64

package limiter

// These do nothing: they are only for speed.

func prefetch(*slot)       {}
func prefetchEntry(*entry) {}
func prefetchShare(*share) {}
func prefetchRing(*ring)   {}
