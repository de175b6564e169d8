//go:build !amd64 && !arm64

package limiter

// prefetch does nothing: it is only for speed.
func prefetch(*slot) {}
