package uplink

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// What is refused, and how counters are shared, is told to each manager about once a
// second, whether there are events or not, and again if nobody answered.
func TestTellsRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ms := w.managers(2)
		o := w.options(groupOf(LoadBalance, ms...))
		var asked atomic.Uint64
		o.Refused = func(now time.Time) *event.RefusedCalls {
			if !now.Equal(time.Now()) {
				t.Errorf("asked for what was refused at %v", now)
			}
			var c event.RefusedCalls
			c.Levels[weir.LevelAPI] = asked.Add(1)
			return &c
		}
		o.Sharing = func(time.Time) *event.Sharing { return &event.Sharing{Node: 7} }
		w.run(o)
		time.Sleep(10 * time.Second)
		w.tell(10 * time.Second)
		synctest.Wait()
		for _, m := range ms {
			var last uint64
			n := 0
			for _, h := range m.headers() {
				if (h.Sharing == nil) != (h.Refused == nil) || h.Sharing != nil && h.Sharing.Node != 7 {
					t.Errorf("refused %v, sharing %v", h.Refused, h.Sharing)
				}
				if h.Refused == nil {
					continue
				}
				n++
				if got := h.Refused.Levels[weir.LevelAPI]; got <= last {
					t.Errorf("%d after %d", got, last)
				} else {
					last = got
				}
			}
			if n < 17 || n > 27 {
				t.Errorf("%s was told %d times in 20 seconds, want once a second", m.issuer, n)
			}
		}
		if n := len(ms[0].headers()); n < 500 {
			t.Fatalf("only %d calls", n)
		}
		before := len(ms[0].headers())
		ms[0].set(func(_ *fakeManager, w http.ResponseWriter, _ *http.Request, _ *event.Header, _ []string) {
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		unanswered := ms[0].headers()[before:]
		if last := unanswered[len(unanswered)-1]; len(unanswered) < 3 || last.Refused == nil || last.Sharing == nil {
			t.Errorf("after %d calls without an answer: %+v", len(unanswered), last)
		}
	})
}
