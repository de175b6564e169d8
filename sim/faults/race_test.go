//go:build race

package faults

// race tells that the race detector makes all this ten times slower.
const race = true
