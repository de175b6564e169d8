package app

import (
	"context"
	"os"
	"time"
)

// watchInterval is how often a watch looks at its file.
const watchInterval = 500 * time.Millisecond

// A stamp tells one content of a file from another without reading it.
type stamp struct {
	size    int64
	changed time.Time
}

// stampOf returns the stamp of the file, zero if there is none.
func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// watch calls changed each time that the file has become another and has then
// kept still for an interval: what is still being written is not read. applied
// is the stamp of what is in use; a file that is away for a moment is no change.
// It returns once ctx is done.
func watch(ctx context.Context, name string, applied stamp, changed func()) {
	last := applied
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := stampOf(name)
		if now == last && now != applied && now != (stamp{}) {
			applied = now
			changed()
		}
		last = now
	}
}
