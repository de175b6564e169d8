// Package faults is a simulation of a fleet in which much goes wrong: of nodes that share
// counters in a store, and of gateways that hold to what traffic managers decide. It has
// no code but its tests.
//
// The nodes are the real limiter.Limiter and limiter.Sharer, the store is the real
// limiter/memory; of a fleet that decides, package gateway and package trafficmanager are
// real. The network, the servers with their replicas and sentinels, the topic, the
// processes and the clocks are simulated, in one thread and in virtual time. A seed
// determines all of it, so that what went wrong once goes wrong again.
//
// docs/simulation.md says what is simulated, what is checked, and which planted bugs
// are caught.
package faults
