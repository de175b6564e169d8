package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// keyOf returns the key and the text of the check of x at a level.
func (w *world) keyOf(t testing.TB, x *Exchange, l weir.Level) (limiter.Key, string) {
	t.Helper()
	w.Explain(x)
	for i, s := range x.Match.Sources {
		if s.Level == l {
			return x.Match.Checks[i].Key, string(w.snapshot.Load().set.AppendKey(nil, &x.Match, i, &x.Request))
		}
	}
	t.Fatalf("no check at level %v", l)
	return 0, ""
}

// decisionOn is a decision on a key in the minute of t0.
func decisionOn(k limiter.Key, seq uint64) weir.Decision {
	return weir.Decision{
		Key: k, Text: "1:alice", Level: weir.LevelApplication, Policy: "Ten", Group: -1, Throttled: true,
		Begins: t0, Ends: t0.Add(time.Minute), Issuer: "tm", Seq: seq, Issued: t0,
	}
}

// meet makes traffic managers known that have decided nothing yet.
func (w *world) meet(issuers ...string) {
	for _, issuer := range issuers {
		w.DecideAll(t0, issuer, 0, nil, 0)
	}
}

// status returns the status with which x is refused, 0 if it passes.
func (w *world) status(x *Exchange) int {
	a := w.Admit(x)
	w.Finish(x, Outcome{Forwarded: a == nil})
	if a == nil {
		return 0
	}
	return a.Status
}

// TestDecide throttles an application by a decision, until its window ends and no
// longer, although it has spent nothing here.
func TestDecide(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	menu := func(d time.Duration) *Exchange {
		x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		x.Time = t0.Add(d)
		return x
	}
	k, _ := w.keyOf(t, menu(0), weir.LevelApplication)
	d := decisionOn(k, 1)
	if v := w.Decide(t0.Add(time.Second), &d, 0); v != Applied {
		t.Fatalf("the decision is %v", v)
	}
	x := menu(2 * time.Second)
	if e := w.Explain(x); e.Status != 429 || e.Code != "900803" {
		t.Errorf("explained as %d %s", e.Status, e.Code)
	}
	x.again()
	a := w.Admit(x)
	if a == nil || a.Status != 429 || !strings.Contains(string(a.Body), "900803") || x.fieldOf("Retry-After") != "58" {
		t.Errorf("answer %+v, Retry-After %q", a, x.fieldOf("Retry-After"))
	}
	w.Finish(x, Outcome{})
	for at, want := range map[time.Duration]int{time.Minute - 1: 429, time.Minute: 0, -time.Second: 0} {
		if got := w.status(menu(at)); got != want {
			t.Errorf("at %v: %d, want %d", at, got, want)
		}
	}
	other := call("GET", "/pizza/1/open")
	if got := w.status(other); got != 0 {
		t.Errorf("somebody else gets %d", got)
	}
}

// TestDecideOrder shows that an older decision never replaces a newer one.
func TestDecideOrder(t *testing.T) {
	w := newWorld(t)
	w.meet("tm", "tm2", "tm3")
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	k, _ := w.keyOf(t, x, weir.LevelApplication)
	now := t0.Add(time.Second)
	for i, s := range []struct {
		change  func(d *weir.Decision)
		verdict Verdict
		status  int
	}{
		{func(d *weir.Decision) {}, Applied, 429},
		{func(d *weir.Decision) {}, Outdated, 429}, // repeated
		{func(d *weir.Decision) { d.Throttled = false }, Outdated, 429},
		{func(d *weir.Decision) { d.Seq, d.Throttled = 7, false }, Applied, 0},
		{func(d *weir.Decision) { d.Seq = 6 }, Outdated, 0},                           // late on its way
		{func(d *weir.Decision) { d.Issuer, d.Throttled = "tm2", false }, Applied, 0}, // agrees
		{func(d *weir.Decision) { d.Issuer, d.Seq = "tm2", 2 }, Applied, 429},         // has counted more
		{func(d *weir.Decision) { d.Seq, d.Throttled = 8, false }, Applied, 429},      // which the first has not
		{func(d *weir.Decision) { d.Seq, d.Ends = 9, t0 }, Late, 429},                 // of the window before
		{func(d *weir.Decision) { d.Key, d.Seq = 0, 10 }, Unusable, 429},              // about nobody
		{func(d *weir.Decision) { d.Issuer, d.Seq, d.Throttled = "tm2", 3, false }, Applied, 0},
		{func(d *weir.Decision) { d.Issuer, d.Ends = "tm3", t0.Add(2*time.Minute) }, Applied, 429},
	} {
		d := decisionOn(k, 1)
		s.change(&d)
		if v := w.Decide(now, &d, 0); v != s.verdict {
			t.Errorf("step %d: %v, want %v", i, v, s.verdict)
		}
		x.again()
		x.Time = now
		if got := w.status(x); got != s.status {
			t.Errorf("step %d: answered %d, want %d", i, got, s.status)
		}
	}
}

// TestDecideSkew applies a decision of a traffic manager whose clock is two minutes
// ahead.
func TestDecideSkew(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	k, _ := w.keyOf(t, x, weir.LevelApplication)
	d := decisionOn(k, 1)
	if v := w.Decide(t0.Add(-110*time.Second), &d, 2*time.Minute); v != Applied {
		t.Fatalf("the decision is %v", v)
	}
	for at, want := range map[time.Duration]int{-121 * time.Second: 0, -120 * time.Second: 429, -61 * time.Second: 429, -60 * time.Second: 0, 30 * time.Second: 0} {
		x.again()
		x.Time = t0.Add(at)
		if got := w.status(x); got != want {
			t.Errorf("at %v: %d, want %d", at, got, want)
		}
	}
}

// TestDecideAll replaces what one issuer had said, and leaves what others said.
func TestDecideAll(t *testing.T) {
	w := newWorld(t)
	w.meet("tm0", "tm1")
	now := t0.Add(time.Second)
	for i := range 10 {
		d := decisionOn(limiter.Key(i+1), uint64(i+1))
		d.Issuer = fmt.Sprint("tm", i%2)
		w.Decide(now, &d, 0)
	}
	keep, add := decisionOn(3, 3), decisionOn(99, 11)
	keep.Issuer, add.Issuer = "tm0", "tm0"
	w.DecideAll(now, "tm0", 11, []weir.Decision{keep, add}, 0)
	for k, want := range map[limiter.Key]bool{1: false, 2: true, 3: true, 4: true, 5: false, 7: false, 9: false, 10: true, 99: true} {
		if got := w.decisions.find(k, now) != nil; got != want {
			t.Errorf("key %d is throttled: %v", k, got)
		}
	}
	w.decisions.sweep(t0.Add(time.Minute))
	if n := w.decisions.count.Load(); n != 0 || w.decisions.find(99, now) != nil {
		t.Errorf("%d decisions are kept when their window is over", n)
	}
	for i := range w.decisions.shards {
		for j := range w.decisions.shards[i].filter {
			if w.decisions.shards[i].filter[j].Load() != 0 {
				t.Fatal("the filter still knows of one")
			}
		}
	}
}

// TestKeyTemplates holds calls to a custom rule that only the traffic manager has.
func TestKeyTemplates(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	d := decisionOn(77, 1)
	d.Level, d.Policy, d.Text = weir.LevelCustom, `no "good"`, "alice@carbon.super:/pizza/1"
	w.Decide(t0, &d, 0)
	if got := w.status(x); got != 0 {
		t.Errorf("without the template: %d", got)
	}
	if err := w.SetKeyTemplates([]string{"$userId:$apiContext"}); err != nil {
		t.Fatal(err)
	}
	x.again()
	a := w.Admit(x)
	if a == nil || a.Status != 429 || !strings.Contains(string(a.Body), "900806") {
		t.Errorf("answer %+v", a)
	}
	w.Finish(x, Outcome{})
	if err := w.SetKeyTemplates([]string{"$nobody"}); err == nil || len(w.snapshot.Load().templates) != 1 {
		t.Error("a wrong template has changed something")
	}
	if err := w.Apply(w.definition); err != nil || len(w.snapshot.Load().templates) != 1 {
		t.Errorf("a new definition has lost the templates: %v", err)
	}
	if err := w.SetKeyTemplates(nil); err != nil {
		t.Fatal(err)
	}
	x.again()
	if got := w.status(x); got != 0 {
		t.Errorf("without the template again: %d", got)
	}
}

func TestSetDenies(t *testing.T) {
	w := newWorld(t)
	alice := func() int { return w.status(call("GET", "/pizza/1/menu", "ApiKey", w.production)) }
	if err := w.SetDenies([]policy.Deny{{ID: "9", Kind: policy.DenyApplication, Value: "alice:shop"}}); err != nil {
		t.Fatal(err)
	}
	if got := alice(); got != 403 {
		t.Errorf("a denied application gets %d", got)
	}
	if err := w.SetDenies([]policy.Deny{{ID: "9", Kind: policy.DenyIP}}); err == nil || alice() != 403 {
		t.Error("a wrong deny policy has changed something")
	}
	if err := w.Apply(w.definition); err != nil || alice() != 403 {
		t.Errorf("a new definition has lost the deny policy: %v", err)
	}
	if err := w.SetDenies([]policy.Deny{{ID: "d1", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("192.0.2.66/32")}, Off: true}}); err != nil {
		t.Fatal(err)
	}
	if got := alice(); got != 0 {
		t.Errorf("no longer denied, but gets %d", got)
	}
	if got := w.status(callFrom("192.0.2.66", "GET", "/pizza/1/menu", "ApiKey", w.production)); got != 0 {
		t.Errorf("a deny policy of the definition that was switched off: %d", got)
	}
}

// TestDecisionsAlongside applies decisions while calls ask for them.
func TestDecisionsAlongside(t *testing.T) {
	w := newWorld(t)
	w.meet("tm")
	k, _ := w.keyOf(t, call("GET", "/pizza/1/menu", "ApiKey", w.production), weir.LevelApplication)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint64(2000) {
			d := decisionOn(k, i+1)
			d.Throttled = i%2 == 0
			w.Decide(t0, &d, 0)
			if i%100 == 0 {
				w.decisions.sweep(t0)
			}
		}
	}()
	for range 2000 {
		w.status(call("GET", "/pizza/1/menu", "ApiKey", w.production))
	}
	<-done
}

func BenchmarkBlocked(b *testing.B) {
	for _, held := range []int{0, 1, 10_000} {
		b.Run(fmt.Sprint(held), func(b *testing.B) {
			w := newWorld(b)
			w.meet("tm")
			for i := range held {
				d := decisionOn(limiter.Seed{}.Key(fmt.Sprint(i)), 1)
				w.Decide(t0, &d, 0)
			}
			x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
			w.Explain(x)
			s := w.snapshot.Load()
			b.ReportAllocs()
			for b.Loop() {
				w.block(&x.Match, s, &x.Request, t0)
			}
		})
	}
}

// TestAway lets limits do what they say while all traffic managers are away.
func TestAway(t *testing.T) {
	for loss, want := range map[limiter.OnStoreLoss][2]int{ // the first call and the eleventh
		limiter.Local: {0, 429}, limiter.Closed: {429, 429}, limiter.Open: {0, 0},
	} {
		away := true
		w := newWorldTold(t, EventOptions{To: &notebook{}, Away: func() bool { return away }})
		d := w.definition
		ten := perMinute(10)
		ten.OnStoreLoss = loss
		d.Policies.Policies = policy.Merge(d.Policies.Policies, []policy.Policy{{Kind: policy.Application, Name: "Ten", Limit: ten}})
		if err := w.Apply(d); err != nil {
			t.Fatal(err)
		}
		menu := func() *Exchange { return call("GET", "/pizza/1/menu", "ApiKey", w.production) }
		var got [2]int
		for i := range 11 {
			if e := w.Explain(menu()); i == 0 && e.Status != want[0] {
				t.Errorf("%v: explained as %d, want %d", loss, e.Status, want[0])
			}
			got[min(i/10, 1)] = w.status(menu())
		}
		if got != want {
			t.Errorf("%v: away, the calls get %v, want %v", loss, got, want)
		}
		away = false
		if s := w.status(menu()); loss == limiter.Closed && s != 0 || loss != limiter.Closed && s != 429 {
			t.Errorf("%v: back, a call gets %d", loss, s)
		}
		if other := w.status(call("GET", "/pizza/1/open")); other != 0 {
			t.Errorf("%v: a limit of another kind is held up: %d", loss, other)
		}
	}
}

// TestAwayIsNothingToTheStore: limits that gateways share in a store do not mind that
// traffic managers are away, unless there is no store.
func TestAwayIsNothingToTheStore(t *testing.T) {
	for _, alone := range []bool{false, true} {
		w := newWorldTold(t, EventOptions{To: &notebook{}, Away: func() bool { return true }})
		w.options.AllEventual = alone
		ten := perMinute(10)
		ten.Accuracy, ten.OnStoreLoss = policy.ByLevel, limiter.Closed
		w.options.Accuracy[weir.LevelApplication] = limiter.Exact
		d := w.definition
		d.Policies.Policies = policy.Merge(d.Policies.Policies, []policy.Policy{{Kind: policy.Application, Name: "Ten", Limit: ten}})
		if err := w.Apply(d); err != nil {
			t.Fatal(err)
		}
		want, accuracy := 0, "exact"
		if alone {
			want, accuracy = 429, "eventual"
		}
		menu := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		if got := w.status(menu); got != want {
			t.Errorf("without a store: %t: got %d, want %d", alone, got, want)
		}
		for _, c := range w.Explain(menu).Checks {
			if c.Level == "application" && (c.Accuracy != accuracy || c.OnStoreLoss != "closed") {
				t.Errorf("without a store: %t: explained as %s, %s", alone, c.Accuracy, c.OnStoreLoss)
			}
		}
	}
}
