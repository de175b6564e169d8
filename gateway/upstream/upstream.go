// Package upstream chooses the backend for a call: spread over several, or the
// next one when the first fails; and it remembers which of them failed.
package upstream

import "time"

// A Target is one backend, shared by every API that names its URL and kept over
// reloads, so that front doors can keep its connections.
type Target struct {
	Scheme string // http or https
	Host   string // host:port
	Path   string // canonical, without a trailing slash; "" for the root
}

// A Group is the backends of an API for one key type.
type Group struct{}

// A Registry holds the targets of a process.
type Registry struct{}

// Group returns a group of the URLs' targets. The error names the URL at fault.
func (r *Registry) Group(urls []string, failover bool) (*Group, error) { return &Group{}, nil }

// Pick returns the target to try, or nil once all have been tried.
func (g *Group) Pick(now time.Time, tried *Tried) *Target { return nil }

// Tried is the targets of a group that one call has tried; the zero value is none.
type Tried struct{ bits uint64 }

// Failed notes that t could not be reached or did not answer.
func (t *Target) Failed(now time.Time) {}

// Succeeded notes that t answered.
func (t *Target) Succeeded() {}
