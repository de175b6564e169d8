package app

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/weir-project/weir/trafficmanager/ingest"
)

// A sharingAnswer is what is said at /sharing. It says no more than /metrics does: no
// keys, and nothing of the store's address.
type sharingAnswer struct {
	Now   int64         `json:"now"`
	Name  string        `json:"name"` // of the node
	Roles []sharingRole `json:"roles"`
}

type sharingRole struct {
	Role    string          `json:"role"`
	Sharing *ingest.Sharing `json:"sharing"`
}

// sharingHandler says how the roles of a node share counters, those that do, to whoever
// has no traffic manager to ask.
func sharingHandler(name string, all []*sharing) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		out := sharingAnswer{Now: now.UnixMilli(), Name: name, Roles: []sharingRole{}}
		for _, s := range all {
			out.Roles = append(out.Roles, sharingRole{s.role, ingest.ShowSharing(s.standing.state(now))})
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(out) // whoever asked has gone: there is nobody to tell
	})
}
