package limiter

import (
	"testing"
	"time"
)

func TestLimitString(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		limit Limit
		want  string
	}{
		{Limit{Count: 5000, Window: Window{Length: time.Minute}}, "5000 requests per 1m"},
		{Limit{Count: 1, Window: Window{Length: 90 * time.Second}}, "1 request per 1m30s"},
		{Limit{Count: 0, Window: Window{Length: 250 * time.Millisecond}}, "0 requests per 250ms"},
		{Limit{Count: 2, Window: Window{Length: time.Hour}, Cost: Events, Algorithm: SlidingWindow}, "2 events in any 1h"},
		{Limit{Count: 1024, Window: Window{Length: 90 * time.Minute}, Cost: Bytes}, "1024 bytes per 1h30m"},
		{Limit{Count: 9, Window: Window{Length: 48 * time.Hour}, Shadow: true}, "9 requests per 2d (shadow)"},
		{Limit{Count: 9, Window: Window{Length: 36*time.Hour + time.Second}}, "9 requests per 36h0m1s"},
		{Limit{Count: 60, Window: Window{Length: time.Minute}, Algorithm: TokenBucket}, "60 requests per 1m, up to 60 at once"},
		{Limit{Count: 60, Window: Window{Length: time.Minute}, Algorithm: TokenBucket, Burst: 10}, "60 requests per 1m, up to 10 at once"},
		{Limit{Count: 10, Window: Window{Calendar: Month, Location: berlin}}, "10 requests per calendar month (Europe/Berlin)"},
		{Limit{Count: 10, Window: Window{Calendar: Week, Every: 2}}, "10 requests per 2 calendar weeks (UTC)"},
	} {
		if got := test.limit.String(); got != test.want {
			t.Errorf("String = %q, want %q", got, test.want)
		}
	}
	for _, test := range []struct{ got, want string }{
		{Algorithm(0).String(), "fixed-window"},
		{TokenBucket.String(), "token-bucket"},
		{Algorithm(9).String(), "unknown"},
		{Cost(9).String(), "unknown"},
		{Calendar(9).String(), "unknown"},
	} {
		if test.got != test.want {
			t.Errorf("String = %q, want %q", test.got, test.want)
		}
	}
}

func TestValidate(t *testing.T) {
	minute := Window{Length: time.Minute}
	for _, test := range []struct {
		limit Limit
		want  string
	}{
		{Limit{Count: 1, Window: minute}, ""},
		{Limit{Count: 0, Window: Window{Length: time.Millisecond}}, ""},
		{Limit{Count: 1, Window: Window{Calendar: Year, Every: 10000, Length: -1}}, ""},
		{Limit{Count: 1, Window: minute, Algorithm: TokenBucket, Burst: 1}, ""},
		{Limit{Count: 1, Window: minute, Accuracy: Exact, OnStoreLoss: Open, Cost: Events, Shadow: true}, ""},
		{Limit{}, "window is shorter than a millisecond"},
		{Limit{Count: 1, Window: Window{Length: time.Millisecond - 1}}, "window is shorter than a millisecond"},
		{Limit{Count: -1, Window: minute}, "count is negative"},
		{Limit{Count: 1, Window: minute, Burst: -1}, "burst is negative"},
		{Limit{Count: 1, Window: Window{Calendar: 5}}, "unknown calendar unit 5"},
		{Limit{Count: 1, Window: Window{Calendar: Day, Every: -1}}, "calendar window is of -1 units, want 1 to 10000"},
		{Limit{Count: 1, Window: Window{Calendar: Day, Every: 10001}}, "calendar window is of 10001 units, want 1 to 10000"},
		{Limit{Count: 1, Window: Window{Calendar: Day}, Algorithm: SlidingWindow}, "calendar windows need the fixed-window algorithm"},
		{Limit{Count: 1, Window: minute, Algorithm: 3}, "unknown algorithm 3"},
		{Limit{Count: 1, Window: minute, Cost: 3}, "unknown cost 3"},
		{Limit{Count: 1, Window: minute, Accuracy: 3}, "unknown accuracy 3"},
		{Limit{Count: 1, Window: minute, OnStoreLoss: 4}, "unknown on_store_loss 4"},
	} {
		got := ""
		if err := test.limit.Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: Validate = %q, want %q", test.limit, got, test.want)
		}
	}
}
