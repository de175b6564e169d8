package ingest

import (
	"strings"
	"testing"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/trafficmanager"
)

// Stats tell through which store the counters are shared, and nothing where they are not.
func TestStatsTellTheStore(t *testing.T) {
	s := serve(t, gold(10))
	if got := s.get("/internal/data/v1/stats"); strings.Contains(got, `"shares"`) {
		t.Errorf("nothing is shared: got %s", got)
	}
	var err error
	if s.Handler.manager, err = trafficmanager.New(trafficmanager.Options{
		Limiter: limiter.New(limiter.Options{}), Issuer: "tm-1", ID: 1, Shares: "kv:6379 weir:",
	}); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/internal/data/v1/stats"); !strings.Contains(got, `"shares":"kv:6379 weir:"`) {
		t.Errorf("got %s", got)
	}
}
