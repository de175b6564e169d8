package policy

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		unit string
		want time.Duration
	}{
		{60000, "ms", time.Minute},
		{10, "sec", 10 * time.Second},
		{1, "s", time.Second},
		{1, "seconds", time.Second},
		{1, "min", time.Minute},
		{5, "minutes", 5 * time.Minute},
		{1, "MIN", time.Minute},
		{1, "hour", time.Hour},
		{24, "hours", 24 * time.Hour},
		{1, "day", 24 * time.Hour},
		{2, "days", 48 * time.Hour},
		{1, "week", 168 * time.Hour},
		{2, "weeks", 336 * time.Hour},
		{1, "month", 2630000000 * time.Millisecond},
		{12, "months", 12 * 2630000000 * time.Millisecond},
		{1, "year", 31556900000 * time.Millisecond},
		{292, "years", 292 * 31556900000 * time.Millisecond},
	} {
		got, err := Window(tt.n, tt.unit)
		if err != nil || got != (limiter.Window{Length: tt.want}) {
			t.Errorf("Window(%d, %q) = %v, %v, want %v", tt.n, tt.unit, got.Length, err, tt.want)
		}
	}
	for _, tt := range []struct {
		n    int64
		unit string
		want string
	}{
		{1, "", "unknown unit of time"},
		{1, "fortnight", "unknown unit of time"},
		{1, "µs", "unknown unit"},
		{1, " min", "unknown unit"},
		{0, "min", "must be at least 1"},
		{-1, "min", "must be at least 1"},
		{math.MaxInt64, "ms", "too long"},
		{293, "years", "too long"},
		{9223372037, "sec", "too long"},
	} {
		if got, err := Window(tt.n, tt.unit); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Window(%d, %q) = %v, %v, want error %q", tt.n, tt.unit, got, err, tt.want)
		}
	}
}

func TestDataBytes(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		unit string
		want int64
	}{
		{0, "KB", 0},
		{7, "B", 7},
		{1, "KB", 1024},
		{1, "kb", 1024},
		{3, "MB", 3 << 20},
		{1, "GB", 1 << 30},
		{math.MaxInt64 >> 30, "GB", math.MaxInt64 >> 30 << 30},
	} {
		if got, err := DataBytes(tt.n, tt.unit); err != nil || got != tt.want {
			t.Errorf("DataBytes(%d, %q) = %d, %v, want %d", tt.n, tt.unit, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		n    int64
		unit string
		want string
	}{
		{1, "", "unknown unit of data"},
		{1, "TB", "unknown unit"},
		{1, "KiB", "unknown unit"},
		{-1, "KB", "is negative"},
		{math.MaxInt64>>30 + 1, "GB", "too much"},
		{math.MaxInt64, "KB", "too much"},
	} {
		if got, err := DataBytes(tt.n, tt.unit); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("DataBytes(%d, %q) = %d, %v, want error %q", tt.n, tt.unit, got, err, tt.want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	f.Add(int64(5), "min")
	f.Add(int64(-5), "GB")
	f.Add(int64(math.MaxInt64), "years")
	f.Fuzz(func(t *testing.T, n int64, unit string) {
		if w, err := Window(n, unit); err == nil {
			l := limiter.Limit{Count: 1, Window: w}
			if err := l.Validate(); err != nil || w.Length/time.Duration(n) < time.Millisecond {
				t.Errorf("Window(%d, %q) = %v: %v", n, unit, w.Length, err)
			}
		}
		if b, err := DataBytes(n, unit); err == nil && b < n {
			t.Errorf("DataBytes(%d, %q) = %d", n, unit, b)
		}
	})
}

func TestDefaults(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults()})
	for _, tt := range []struct {
		kind   Kind
		name   string
		count  int64
		cost   limiter.Cost
		window time.Duration
	}{
		{Application, "10PerMin", 10, limiter.Requests, time.Minute},
		{Application, "20PerMin", 20, limiter.Requests, time.Minute},
		{Application, "50PerMin", 50, limiter.Requests, time.Minute},
		{Subscription, "Bronze", 1000, limiter.Requests, time.Minute},
		{Subscription, "Silver", 2000, limiter.Requests, time.Minute},
		{Subscription, "Gold", 5000, limiter.Requests, time.Minute},
		{Subscription, "Unauthenticated", 500, limiter.Requests, time.Minute},
		{Subscription, "Default", 500, limiter.Requests, time.Minute},
		{Subscription, "DefaultSubscriptionless", 100000, limiter.Requests, time.Minute},
		{Subscription, "AsyncGold", 50000, limiter.Events, 24 * time.Hour},
		{Subscription, "AsyncSilver", 25000, limiter.Events, 24 * time.Hour},
		{Subscription, "AsyncBronze", 5000, limiter.Events, 24 * time.Hour},
		{Subscription, "AsyncDefaultSubscriptionless", 10000, limiter.Events, 24 * time.Hour},
		{Subscription, "AsyncWHGold", 10000, limiter.Events, 2630000000 * time.Millisecond},
		{Subscription, "AsyncWHSilver", 5000, limiter.Events, 2630000000 * time.Millisecond},
		{Subscription, "AsyncWHBronze", 1000, limiter.Events, 2630000000 * time.Millisecond},
		{Advanced, "10KPerMin", 10000, limiter.Requests, time.Minute},
		{Advanced, "20KPerMin", 20000, limiter.Requests, time.Minute},
		{Advanced, "50KPerMin", 50000, limiter.Requests, time.Minute},
		{Advanced, "10kPerMin", 10000, limiter.Requests, time.Minute},
		{Advanced, "20kPerMin", 20000, limiter.Requests, time.Minute},
		{Advanced, "50kPerMin", 50000, limiter.Requests, time.Minute},
	} {
		req := onlyRules(request())
		switch tt.kind {
		case Advanced:
			req.ResourceTier = tt.name
		case Subscription:
			req.SubscriptionTier = tt.name
		case Application:
			req.Application.Tier = tt.name
		}
		var m Match
		s.Match(&m, req)
		want := limiter.Limit{Count: tt.count, Cost: tt.cost, Window: limiter.Window{Length: tt.window}, OnStoreLoss: limiter.Local}
		if len(m.Checks) != 1 || *m.Checks[0].Limit != want {
			t.Errorf("%s %s: got %+v, want one check of %+v", tt.kind, tt.name, m.Checks, want)
		}
	}
	for _, tier := range []string{weir.Unlimited, "AsyncUnlimited", "AsyncWHUnlimited"} {
		req := onlyRules(request())
		req.SubscriptionTier = tier
		var m Match
		if s.Match(&m, req); len(m.Checks) != 0 || m.Unknown != "" {
			t.Errorf("%s: %d checks, unknown %q", tier, len(m.Checks), m.Unknown)
		}
	}
}

// What a caller does to the defaults does not change them for the next.
func TestDefaultsAreFresh(t *testing.T) {
	Defaults()[0].Limit.Count = 1
	if got := Defaults()[0].Limit.Count; got == 1 {
		t.Error("the defaults were changed")
	}
}

func TestMerge(t *testing.T) {
	base := []Policy{{Kind: Advanced, Name: "A"}, {Kind: Subscription, Name: "A"}, {Kind: Subscription, Name: "B"}}
	over := []Policy{{Kind: Subscription, Name: "A", Description: "mine"}, {Kind: Subscription, Name: "C"}, {Kind: Subscription, Name: "C"}}
	var got []string
	for _, p := range Merge(base, over) {
		got = append(got, p.Kind.String()+" "+p.Name+" "+p.Description)
	}
	equalLines(t, got, []string{"advanced A ", "subscription B ", "subscription A mine", "subscription C ", "subscription C "})
	if base[1].Description != "" || len(Merge(nil, nil)) != 0 {
		t.Error("Merge changed its arguments or made something of nothing")
	}
}
