package event_test

import (
	"fmt"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

func TestEncoderAllocs(t *testing.T) {
	requests := make([]weir.Request, 200)
	for i := range requests {
		requests[i] = call()
		requests[i].User = fmt.Sprint("user", i%50)
	}
	kept := event.AppendRequest(nil, &everything, &requests[0])
	window := weir.OpenWindow{Window: limiter.Window{Calendar: limiter.Day}, Spent: weir.Spent{Bytes: 1}}
	var e event.Encoder
	if n := testing.AllocsPerRun(100, func() {
		e.Reset()
		for i := range requests {
			e.Spend(e.Request(&everything, &requests[i]), weir.Spent{Requests: 1, Bytes: 512, Events: 1})
		}
		e.Open(e.RequestOf(kept, admitted), window)
	}); n != 0 {
		t.Errorf("%v allocations for 201 events, want none", n)
	}
	if n := testing.AllocsPerRun(100, func() { e.Body() }); n != 1 {
		t.Errorf("%v allocations for a body, want 1", n)
	}
}

func TestDecoderAllocs(t *testing.T) {
	p := batch(&header, sample(), sample())
	var d event.Decoder
	var h event.Header
	count := 0
	each := func(int, *weir.Event) error { count++; return nil }
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Decode(p, &h, each); err != nil {
			t.Error(err)
		}
	}); n != 1 || count != 101*10 {
		t.Errorf("%v allocations for a batch of 10 (%d events), want 1: the copy of it", n, count)
	}
}

func TestWSO2DecoderAllocs(t *testing.T) {
	p := wso2Batch(10)
	var d event.WSO2Decoder
	each := func(int, *weir.Event) error { return nil }
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Decode(p, now, each); err != nil {
			t.Error(err)
		}
	}); n > 3 {
		t.Errorf("%v allocations for an array of 10, want 3: the copy of it, and what had escapes", n)
	}
}
