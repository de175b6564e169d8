package gateway

import (
	"math"
	"sync"
)

// maxRuns bounds the runs that are known: four of each of 64 traffic managers.
const maxRuns = 256

// runs are the runs of traffic managers that have told all that is in force.
type runs struct {
	mu    sync.RWMutex // held also while what they say is taken into account
	all   map[string]run
	turns uint64
}

// A run is what is known of one.
type run struct {
	upTo uint64 // all its decisions up to this number have been told
	turn uint64 // when it told all last
}

// upTo returns up to which number all that a run decided was told, and whether the
// run is known. mu must be held.
func (r *runs) upTo(issuer string) (uint64, bool) {
	known, ok := r.all[issuer]
	return known.upTo, ok
}

// told notes that a run has told all up to a number. mu must be held.
func (r *runs) told(issuer string, upTo uint64) {
	if r.all == nil {
		r.all = make(map[string]run)
	}
	known, ok := r.all[issuer]
	if !ok && len(r.all) == maxRuns {
		r.forgetOne()
	}
	r.turns++
	r.all[issuer] = run{max(known.upTo, upTo), r.turns}
}

// forgetOne forgets the run that has told all longest ago.
func (r *runs) forgetOne() {
	var oldest string
	turn := uint64(math.MaxUint64)
	for issuer, known := range r.all {
		if known.turn < turn {
			oldest, turn = issuer, known.turn
		}
	}
	delete(r.all, oldest)
}
