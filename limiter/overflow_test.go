package limiter

import (
	"math"
	"testing"
	"time"
)

func TestPortion(t *testing.T) {
	for _, size := range []int64{1, 2, 3, 10, 1000, 65534, 65535, 65536, 1e6, math.MaxInt64} {
		for _, spent := range []int64{0, 1, size / 3, size / 2, size - 1, size, math.MaxInt64} {
			got := portionOf(spent, size).of(size)
			if got < min(spent, size) || got > size || size <= whole && spent <= size && got != spent {
				t.Errorf("%d of %d come back as %d", spent, size, got)
			}
		}
	}
	if got := portionOf(0, 0).of(5); got != 5 {
		t.Errorf("nothing of nothing comes back as %d of 5, want all", got)
	}
}

func TestOverflow(t *testing.T) {
	o := overflow{size: 1} // one cell for all
	minute, hour := shape(perMinute(5)), shape(&Limit{Count: 5, Window: Window{Length: time.Hour}})
	ns := t0.UnixNano()
	end := ns + int64(time.Minute)
	if got := o.get(1, minute, end, ns); got != 0 {
		t.Errorf("an empty overflow has %d", got)
	}
	o.put(1, minute, 100, end, ns)
	o.put(2, minute, 300, end, ns)
	o.put(3, minute, 200, end, ns)
	if got := o.get(4, minute, end, ns); got != 300 {
		t.Errorf("a cell has %d, want the largest, 300", got)
	}
	if got := o.get(1, hour, end, ns); got != 0 {
		t.Errorf("the cell for an hour has %d, want none of a minute's", got)
	}
	if got := o.get(1, minute, end+1, ns); got != 0 {
		t.Errorf("a cell has %d for a window that ends later than all it knows", got)
	}
	if got := o.get(1, minute, end, end); got != 0 {
		t.Errorf("a cell has %d when it is over", got)
	}
	o.put(1, minute, 50, end+100, end)
	if got := o.get(1, minute, end+100, end+1); got != 50 {
		t.Errorf("a cell has %d, want 50 and nothing of what is over", got)
	}
	o.sweep(end + 99)
	if o.classes[class(minute)].ends == nil {
		t.Error("a sweep gives back cells that are in use")
	}
	o.sweep(end + 100)
	if o.classes[class(minute)].ends != nil {
		t.Error("a sweep keeps cells that are over")
	}
}

func TestClass(t *testing.T) {
	for _, test := range []struct {
		window Window
		want   int
	}{
		{Window{Length: time.Millisecond}, 0},
		{Window{Length: 10 * time.Second}, 0},
		{Window{Length: time.Minute}, 1},
		{Window{Length: time.Hour}, 2},
		{Window{Length: 24 * time.Hour}, 3},
		{Window{Calendar: Day}, 3},
		{Window{Calendar: Week}, 3},
		{Window{Calendar: Month}, 4},
		{Window{Length: math.MaxInt64}, 4},
	} {
		if got := class(shape(&Limit{Count: 1, Window: test.window})); got != test.want {
			t.Errorf("%v is of class %d, want %d", test.window, got, test.want)
		}
	}
}
