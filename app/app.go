// Package app builds a process from a configuration and an artifact, runs it,
// and is the only place that knows all of its parts.
package app
