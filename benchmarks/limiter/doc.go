// Package limiter measures Weir's limiter beside others that Go programs embed,
// in one run on one machine, so that the ratios hold where the nanoseconds do not.
//
//	go test -bench . -cpu 1,2 ./limiter
//
// Every system decides about the same keys, given as text, with its clock read
// for each decision. Weir is also measured as a gateway uses it, which reads
// the clock and hashes what it counts once for all the checks of a request.
package limiter
