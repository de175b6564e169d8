package faults

// wait returns for how long a lane has nothing to do, unless it is woken.
func (r *run) wait(lane int32) int64 { return int64(r.sharer.Wait(int(lane), r.now())) }

// woken reports whether a lane was woken since it was asked last.
func (r *run) woken(lane int) bool { return len(r.sharer.Wake(lane)) > 0 }

// heed takes note of a lane's being woken.
func (r *run) heed(lane int) {
	select {
	case <-r.sharer.Wake(lane):
	default:
	}
}
