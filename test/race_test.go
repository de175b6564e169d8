//go:build race

package test

// raced tells that the tests, and so the binary, have the race detector in them.
const raced = true
