// Package faults is a simulation of nodes that share counters in a store, in which much
// goes wrong. It has no code but its tests.
//
// The nodes are the real limiter.Limiter and limiter.Sharer, the store is the real
// limiter/memory; the network, the servers with their replicas and sentinels, the
// processes and the clocks are simulated, in one thread and in virtual time. A seed
// determines all of it, so that what went wrong once goes wrong again.
//
// docs/simulation.md says what is simulated, what is checked, and which planted bugs
// are caught.
package faults
