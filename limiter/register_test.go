package limiter

import (
	"testing"
	"time"
)

func TestRegister(t *testing.T) {
	l := New(Options{})
	limit := perMinute(10)
	if r := l.Register(t0, limit, 1); r != (Register{}) {
		t.Errorf("the register of a key that never came is %+v", r)
	}
	l.Take(at(5*time.Second), []Check{{Limit: limit, Key: 1, N: 4}})
	r := l.Register(at(6*time.Second), limit, 1)
	if r.Spent != 4 || r.Others != 0 || !r.Ends.Equal(at(time.Minute)) {
		t.Errorf("the register is %+v, want 4 spent until %v", r, at(time.Minute))
	}
	if r := l.Register(at(time.Minute), limit, 1); r != (Register{}) {
		t.Errorf("the register of a window in which nothing is spent is %+v", r)
	}
}
