package weir

import (
	"time"

	"github.com/weir-project/weir/limiter"
)

// A Decision is what a traffic manager tells all gateways of one key: that it has
// spent its limit and is throttled until its window ends, or that it no longer is.
//
// A Decision is state, not a command: it may come late, twice, out of order or
// never. It names its window, so that it is without effect after it, and its place
// in what its issuer says, so that an older one never replaces a newer one.
type Decision struct {
	// Key is what is counted, hashed with the seed that the fleet shares. Zero
	// if the issuer has no such seed: then Text alone says what is meant.
	Key limiter.Key
	// Text is the key in WSO2's form. For people and other programs: two
	// different keys may have the same text.
	Text string

	Level  Level
	Policy string // name of the policy or the custom rule
	Group  int    // index of the group of conditions, -1 for the policy's own limit

	// Throttled tells whether the key is to be refused.
	Throttled bool
	// Begins and Ends bound the window that the decision is about, by the clock
	// of the issuer. Limits whose windows slide have no common beginning: there
	// it is the zero time, and Ends is when more may pass.
	Begins, Ends time.Time

	// Issuer identifies one run of one traffic manager. Seq is greater in each
	// decision that it makes than in the one before.
	Issuer string
	Seq    uint64
	// Issued is when the decision was made, by the clock of the issuer.
	Issued time.Time

	// Conditions are those under which Group holds, as WSO2's gateways want them
	// told: base64 of a JSON array. Empty for other levels than API and resource.
	Conditions string
}

// Newer reports whether d is to replace was, an earlier decision on the same key:
// what an issuer says later replaces what it said before. It never replaces what
// another issuer says, who counts the same calls apart: a key is throttled if
// either says so.
func (d *Decision) Newer(was *Decision) bool {
	return d.Issuer == was.Issuer && d.Seq > was.Seq
}
