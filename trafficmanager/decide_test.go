package trafficmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// TestApply changes policies while keys are throttled: what was counted stays
// (W20), and the new limits hold at once (D11, W25).
func TestApply(t *testing.T) {
	hour := perMinute(20)
	hour.Window.Length = time.Hour
	second := perMinute(20)
	second.Window.Length = 10 * time.Second
	shadow := perMinute(5)
	shadow.Shadow = true
	bytes := perMinute(5)
	bytes.Cost = limiter.Bytes
	free, throttled := goldKey+" free until 1m0s", goldKey+" throttled until 1m0s"
	for _, tt := range []struct {
		name  string
		limit *limiter.Limit // nil: the policy is gone
		said  []string       // at once
		next  []string       // by the next event
	}{
		{"the same", perMinute(20), nil, nil},
		{"raised", perMinute(30), []string{free}, nil},
		{"raised by one", perMinute(21), []string{free}, []string{throttled}},
		{"lowered", perMinute(10), nil, nil},
		{"removed", nil, []string{free}, nil},
		{"a shadow", shadow, []string{free}, nil},
		{"of another cost", bytes, []string{free}, nil},
		{"longer", hour, []string{goldKey + " throttled until 1h0m0s"}, nil},
		{"shorter", second, []string{free, goldKey + " throttled until 10s"}, nil},
	} {
		w := newWorld(t, gold(perMinute(20)))
		w.send(time.Second, nil, call(time.Second, 20))
		w.wantSaid(throttled)
		d := gold(tt.limit)
		if tt.limit == nil {
			d.Policies = nil
		}
		w.Apply(t0.Add(2*time.Second), compile(t, d))
		if got := fmt.Sprint(w.topic.take()); got != fmt.Sprint(tt.said) {
			t.Errorf("%s: said %s, want %s", tt.name, got, tt.said)
		}
		w.send(3*time.Second, nil, call(3*time.Second, 1))
		if got := fmt.Sprint(w.topic.take()); got != fmt.Sprint(tt.next) {
			t.Errorf("%s: said %s by the next event, want %s", tt.name, got, tt.next)
		}
	}
}

// TestLowered throttles, by the next event, a key that was within its old limit.
func TestLowered(t *testing.T) {
	w := newWorld(t, gold(perMinute(20)))
	w.send(time.Second, nil, call(time.Second, 10))
	w.Apply(t0.Add(time.Second), compile(t, gold(perMinute(5))))
	w.wantSaid()
	w.send(2*time.Second, nil, call(2*time.Second, 1))
	w.wantSaid(goldKey + " throttled until 1m0s")
}

// TestAppliedMeanwhile decides on events that are being counted by the set that
// holds now.
func TestAppliedMeanwhile(t *testing.T) {
	w := newWorld(t, gold(perMinute(5)))
	b := w.Begin(t0.Add(time.Second), nil)
	w.Apply(t0.Add(time.Second), compile(t, gold(perMinute(50))))
	e := call(time.Second, 10)
	_ = b.Count(&e)
	b.End(nil)
	w.wantSaid()
}

// TestNoPolicies shows that a manager counts nothing before it knows by what, and
// that nothing is lost by that (W20).
func TestNoPolicies(t *testing.T) {
	m, err := New(Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm", ID: 1})
	if err != nil || m.Ready() {
		t.Fatalf("New: ready %v, %v", m.Ready(), err)
	}
	w := &world{t, m, &topic{}}
	h := &event.Header{Incarnation: 1, Seq: 1, First: true, Restates: true}
	if r := w.send(0, h, restated(0, 5)); !r.Restate {
		t.Error("something was counted by nothing")
	}
	m.Apply(t0, compile(t, gold(perMinute(10))))
	if r := w.send(0, h, restated(0, 5)); r.Restate {
		t.Error("asked again")
	}
	w.wantUsed(0, 5)
}

// TestMoved decides by the limit of the tier that an application has now, although
// the key has been decided on by that of another.
func TestMoved(t *testing.T) {
	d := policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Application, Name: "Small", Limit: perMinute(5)},
		{Kind: policy.Application, Name: "Large", Limit: perMinute(50)},
	}}
	w := newWorld(t, d)
	small, large := call(time.Second, 5), call(2*time.Second, 10)
	small.Request.Application.Tier, large.Request.Application.Tier = "Small", "Large"
	w.send(time.Second, nil, small)
	w.send(2*time.Second, nil, large)
	if n := len(w.topic.take()); n != 1 {
		t.Errorf("%d decisions, want 1", n)
	}
	large.Spent.Requests = 40
	w.send(3*time.Second, nil, large)
	if len(w.topic.said) != 1 || w.topic.said[0].Policy != "Large" {
		t.Errorf("said %+v", w.topic.said)
	}
}

// keys returns the texts of decisions, and ! before those that let go.
func keys(ds []weir.Decision) string {
	var all []string
	for _, d := range ds {
		if !d.Throttled {
			d.Text = "!" + d.Text
		}
		all = append(all, strings.TrimSuffix(d.Text, ":/pizza/1:1:Gold"))
	}
	return strings.Join(all, " ")
}

// of is an event of another application.
func of(app string, d time.Duration, n int64) weir.Event {
	e := call(d, n)
	e.Request.Application.ID = app
	return e
}

// TestDecisions is what gateways hear that ask: those that know nothing all that
// is in force (W19), the others what is new (W16, W17).
func TestDecisions(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	ask := func(d time.Duration, manager, version uint64, want string, wantAll bool) uint64 {
		t.Helper()
		ds, all, v := w.Decisions(t0.Add(d), manager, version)
		if keys(ds) != want || all != wantAll {
			t.Errorf("told %q, all %v; want %q, %v", keys(ds), all, want, wantAll)
		}
		for _, x := range ds {
			if x.Seq > v {
				t.Errorf("decision %d is in version %d", x.Seq, v)
			}
		}
		return v
	}
	v0 := ask(0, 0, 0, "", true)
	ask(0, 77, v0, "", false)
	w.send(time.Second, nil, of("a", time.Second, 10), of("b", time.Second, 11))
	v1 := ask(time.Second, 77, v0, "a b", false)
	ask(time.Second, 0, 0, "a b", true)
	ask(time.Second, 78, v1, "a b", true)      // it knows another run
	ask(time.Second, 77, v1+1, "a b", true)    // absurd
	ask(time.Second, 77, 1<<64-1, "a b", true) // and more so
	ask(61*time.Second, 77, v0, "", false)     // over
	ask(61*time.Second, 0, 0, "", true)        //
	ask(time.Second, 77, v1, "", false)        // nothing is new
	w.send(2*time.Second, nil, of("b", time.Second, -2), of("c", time.Second, 10))
	ask(2*time.Second, 77, v1, "!b c", false)
	ask(2*time.Second, 77, v0, "a b !b c", false) // in order
	ask(2*time.Second, 5, v0, "a c", true)

	w.topic.take()
	w.Republish(t0.Add(3 * time.Second)) // also that b was let go: some gateway may have missed it
	if got := len(w.topic.take()); got != 3 {
		t.Errorf("republished %d decisions, want 3", got)
	}
	w.Republish(t0.Add(time.Minute))
	w.wantSaid()

	r := w.send(3*time.Second, &event.Header{Incarnation: 1, Manager: 77, Version: v1})
	if keys(r.Decisions) != "!b c" || r.All || !r.Restate || r.Manager != 77 || r.Issuer != "tm-1" || !r.Now.Equal(t0.Add(3*time.Second)) {
		t.Errorf("a batch is answered with %+v", r)
	}
}

// TestHistory tells long absences apart from short ones, and not too much at once.
func TestHistory(t *testing.T) {
	w := newWorldOf(t, gold(perMinute(1)), Options{MaxDecisions: 1 << 20})
	b := w.Begin(t0, nil)
	for i := range historySize + 100 {
		e := of(fmt.Sprint(i), 0, 1)
		_ = b.Count(&e)
	}
	b.End(nil)
	w.topic.take()
	ds, all, _ := w.Decisions(t0, 77, 100)
	if !all || len(ds) != historySize+100 {
		t.Errorf("after too long: all %v, %d decisions", all, len(ds))
	}
	told := 0
	for v := uint64(101); ; {
		ds, all, to := w.Decisions(t0, 77, v)
		if all || len(ds) > mostTold {
			t.Fatalf("all %v, %d decisions", all, len(ds))
		}
		for i := range ds {
			if ds[i].Seq != v+uint64(i)+1 {
				t.Fatalf("decision %d comes after %d", ds[i].Seq, v)
			}
		}
		told += len(ds)
		if v = to; len(ds) == 0 {
			break
		}
	}
	if told != historySize-1 {
		t.Errorf("told %d", told)
	}
}

// TestMaxDecisions bounds the decisions that are kept (W24); one that made way is
// made again.
func TestMaxDecisions(t *testing.T) {
	w := newWorldOf(t, gold(perMinute(1)), Options{MaxDecisions: forceShards})
	b := w.Begin(t0, nil)
	for i := range 10_000 {
		e := of(fmt.Sprint(i), 0, 1)
		_ = b.Count(&e)
	}
	b.End(nil)
	if n := w.Stats(t0).InForce; n > forceShards || n < forceShards/2 {
		t.Errorf("%d decisions are kept", n)
	}
	if n := len(w.topic.take()); n != 10_000 {
		t.Errorf("%d decisions were told", n)
	}
	w.send(0, nil, of("1", 0, 1), of("2", 0, 1), of("3", 0, 1))
	if n := len(w.topic.take()); n == 0 {
		t.Error("none is made again")
	}
	w.Sweep(t0.Add(time.Minute))
	for i := range w.force.shards {
		if n := len(w.force.shards[i].byKey); n > 0 {
			t.Errorf("%d decisions that are over are kept", n)
		}
	}
}
