// Package limiter measures Weir's limiter beside others that Go programs embed,
// in one run on one machine, so that the ratios hold where the nanoseconds do not.
//
//	go test -bench . -cpu 1,2 ./limiter
//
// Every system decides about the same keys, given as text, and reads the clock
// for each decision. Weir is also measured as a gateway uses it, which has read
// the clock for its request: weir-check hashes the text, weir-checks does not.
package limiter
