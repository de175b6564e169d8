package limiter

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestAppendPolicy(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit Limit
		want  string
	}{
		{"burst", Limit{Count: 100, Window: Window{Length: time.Minute}}, `"burst";q=100;w=60`},
		{"bytes", Limit{Count: 65535, Window: Window{Length: 10 * time.Second}, Cost: Bytes}, `"bytes";q=65535;qu="content-bytes";w=10`},
		{"ws", Limit{Count: 1, Window: Window{Length: 1500 * time.Millisecond}, Cost: Events}, `"ws";q=1;qu="events";w=1`},
		{"backend", Limit{Count: 5, Window: Window{Length: 100 * time.Millisecond}}, `"backend";q=5`},
		{"daily", Limit{Count: math.MaxInt64, Window: Window{Calendar: Day, Every: 2}}, `"daily";q=999999999999999;w=172800`},
		{"week", Limit{Window: Window{Calendar: Week}}, `"week";q=0;w=604800`},
		{"month", Limit{Window: Window{Calendar: Month}}, `"month";q=0;w=2629746`},
		{"year", Limit{Window: Window{Calendar: Year}}, `"year";q=0;w=31556952`},
		{"a\"b\\c\r\nd\x7fé", Limit{Window: Window{Length: time.Second}}, `"a\"b\\c__d___";q=0;w=1`},
	} {
		if got := string(AppendPolicy(nil, test.name, &test.limit)); got != test.want {
			t.Errorf("AppendPolicy = %s, want %s", got, test.want)
		}
	}
	got := AppendPolicy([]byte(`"a";q=1`), "b", perMinute(2))
	if want := `"a";q=1, "b";q=2;w=60`; string(got) != want {
		t.Errorf("AppendPolicy = %s, want %s", got, want)
	}
}

func TestAppendState(t *testing.T) {
	c := &Check{Remaining: 50, Reset: 29*time.Second + 1}
	got := AppendState(nil, "default", c)
	got = AppendState(got, "x", &Check{})
	if want := `"default";r=50;t=30, "x";r=0;t=0`; string(got) != want {
		t.Errorf("AppendState = %s, want %s", got, want)
	}
}

func TestHeaderAllocs(t *testing.T) {
	buf := make([]byte, 0, 200)
	c := &Check{Limit: perMinute(5), Remaining: 4, Reset: time.Second}
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendPolicy(buf[:0], "default", c.Limit)
		buf = AppendState(buf, "default", c)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestSeconds(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want int64
	}{
		{0, 0}, {-time.Minute, 0}, {1, 1}, {time.Second, 1}, {time.Second + 1, 2}, {math.MaxInt64, 9223372037},
	} {
		if got := Seconds(test.d); got != test.want {
			t.Errorf("Seconds(%d) = %d, want %d", test.d, got, test.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	limit, shadow := perMinute(5), perMinute(5)
	shadow.Shadow = true
	for _, test := range []struct {
		checks []Check
		want   int64
	}{
		{nil, 1},
		{[]Check{{Limit: limit, Over: true, Reset: time.Millisecond}}, 1},
		{[]Check{{Limit: limit, Over: true, Reset: 1001 * time.Millisecond}}, 2},
		{[]Check{
			{Limit: limit, Over: true, Reset: 3 * time.Second},
			{Limit: limit, Over: true, Reset: 7 * time.Second},
			{Limit: limit, Reset: 30 * time.Second},
			{Limit: shadow, Over: true, Reset: 30 * time.Second},
		}, 7},
	} {
		if got := RetryAfter(test.checks); got != test.want {
			t.Errorf("RetryAfter(%v) = %d, want %d", test.checks, got, test.want)
		}
	}
}

func TestTightest(t *testing.T) {
	limit, large, shadow := perMinute(10), perMinute(math.MaxInt64), perMinute(10)
	shadow.Shadow = true
	for _, test := range []struct {
		checks []Check
		want   int
	}{
		{nil, -1},
		{[]Check{{Limit: shadow, Over: true}}, -1},
		{[]Check{{Limit: limit, Remaining: 5}, {Limit: limit, Remaining: 4}}, 1},
		{[]Check{{Limit: limit, Remaining: 1}, {Limit: limit, Over: true}, {Limit: limit, Over: true}}, 1},
		{[]Check{{Limit: limit, Remaining: 9}, {Limit: large, Remaining: math.MaxInt64 / 2}}, 1},
		{[]Check{{Limit: large, Remaining: math.MaxInt64 - 1}, {Limit: limit, Remaining: 9}}, 1},
		{[]Check{{Limit: limit, Remaining: 4, Reset: 1}, {Limit: limit, Remaining: 4, Reset: 2}, {Limit: limit, Remaining: 4, Reset: 1}}, 1},
	} {
		if got := Tightest(test.checks); got != test.want {
			t.Errorf("Tightest(%v) = %d, want %d", test.checks, got, test.want)
		}
	}
}

// FuzzAppend makes items of any name: nothing in it ends the string, the item or
// the field.
func FuzzAppend(f *testing.F) {
	f.Add(`a"b\`, int64(5), int64(7))
	f.Add("\r\nX-Evil: 1", int64(-1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, name string, n, reset int64) {
		item := string(AppendState(nil, name, &Check{Remaining: max(n, 0), Reset: time.Duration(reset)}))
		if item[0] != '"' {
			t.Fatalf("%q does not begin with a string", item)
		}
		i := 1
		for ; item[i] != '"'; i++ {
			if item[i] < ' ' || item[i] > '~' {
				t.Fatalf("%q has a byte that no field may have", item)
			}
			if item[i] == '\\' {
				i++
			}
		}
		var r, wait int64
		if _, err := fmt.Sscanf(item[i+1:], ";r=%d;t=%d", &r, &wait); err != nil || r < 0 || wait < 0 || r > 999_999_999_999_999 {
			t.Errorf("%q is no item: %v", item, err)
		}
	})
}
