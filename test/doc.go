// Package test is the product from end to end: the real binary, built once, with
// real projects, sockets and backends on loopback. It has no code but its tests.
//
// The binary is built with the race detector where the tests are, and every
// process that a test starts must stop with exit code 0 and without a word about
// races or panics.
//
// Ports are found free, folders are temporary, and what is waited for has a
// deadline. Tests that need nginx or haproxy say so where these are not installed.
package test
