package event_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// sharing returns what g, a Header, says of shared counters.
func (g generic) sharing() *event.Sharing {
	if !g.Has(g.field("sharing")) {
		return nil
	}
	m := generic{g.value("sharing").Message()}
	size := func(v uint64) int64 { return int64(min(v, math.MaxInt64)) }
	s := &event.Sharing{
		Node: m.uint("node"), Lost: m.bool("lost"), Nodes: int(m.uint("nodes")), Calls: m.uint("calls"), Errors: m.uint("errors"),
		Losses: m.uint("losses"), Waits: m.uint("waits"), Epochs: m.uint("epochs"),
		RecentCalls: m.uint("recent_calls"), RecentRequests: m.uint("recent_requests"),
		Trip: time.Duration(m.int("trip")), Offset: time.Duration(m.int("offset")), All: int(m.uint("all")),
	}
	for _, l := range m.list("limits") {
		level, accuracy, cost := uint32(l.enum("level")), uint32(l.enum("accuracy")), uint32(l.enum("cost"))
		if level > uint32(weir.LevelBackend) || accuracy > uint32(limiter.Exact) || cost > uint32(limiter.Events) ||
			len(s.Limits) == event.MaxSharedLimits {
			continue
		}
		s.Limits = append(s.Limits, event.SharedLimit{
			Level: weir.Level(level), Policy: cutText(l.string("policy")), Group: int(l.int("group")),
			Accuracy: limiter.Accuracy(accuracy), Cost: limiter.Cost(cost), Keys: int(l.uint("keys")), Held: size(l.uint("held")),
			Assertions: l.uint("assertions"), Over: size(l.uint("over")), Count: size(l.uint("count")),
			Lag: time.Duration(size(l.uint("lag"))),
		})
	}
	return s
}

// someSharing returns all that can be said of shared counters.
func someSharing() *event.Sharing {
	return &event.Sharing{
		Node: 1 << 63, Lost: true, Nodes: 3, Calls: 1 << 40, Errors: 2, Losses: 3, Waits: 4, Epochs: 5,
		RecentCalls: 21, RecentRequests: 1000, Trip: 300 * time.Microsecond, Offset: -2 * time.Second, All: 65,
		Limits: []event.SharedLimit{
			{
				Level: weir.LevelBackend, Policy: "älice", Group: -1, Accuracy: limiter.Exact, Cost: limiter.Events,
				Keys: 7, Held: math.MaxInt64, Assertions: 1 << 50, Over: 12, Count: 1000, Lag: 12 * time.Millisecond,
			},
			{Group: 3},
		},
	}
}

// How counters are shared arrives, with events and without, and reads for generated code
// as it does here.
func TestSharingArrives(t *testing.T) {
	for name, s := range map[string]*event.Sharing{"none": nil, "nothing": {}, "some": someSharing()} {
		h := header
		h.Sharing, h.Refused = s, refusedCalls()
		for _, bodies := range [][]event.Body{nil, {sample()}} {
			p := batch(&h, bodies...)
			got, _, _ := decode(t, new(event.Decoder), p)
			if !reflect.DeepEqual(got, h) {
				t.Errorf("%s: got %+v, want %+v", name, got.Sharing, s)
			}
			if generated, _, err := readBatch(t, p); err != nil || !reflect.DeepEqual(generated, h) {
				t.Errorf("%s: generated code reads %+v: %v", name, generated.Sharing, err)
			}
		}
	}
}

// What will be there later is skipped: fields, and limits of which something is not known.
func TestSharingIsTolerant(t *testing.T) {
	limit := raw{}.varint(1, 3).bytes(2, "Gold").varint(6, 9).bytes(50, "new").varint(51, 1)
	s := raw{}.fixed(1, 5).varint(60, 1)
	for _, f := range []protowire.Number{1, 4, 5} { // the level, the accuracy, the cost
		s = s.bytes(13, string(raw{}.varint(6, 1).varint(f, 99)))
	}
	s = s.bytes(13, string(limit)).bytes(61, "new")
	m := raw{}.fixed(2, 1).fixed(4, 1).bytes(11, string(s)).bytes(70, "new")
	got, _, _ := decode(t, new(event.Decoder), raw{}.bytes(1, string(m)))
	want := &event.Sharing{Node: 5, Limits: []event.SharedLimit{{Level: weir.LevelSubscription, Policy: "Gold", Keys: 9}}}
	if !reflect.DeepEqual(got.Sharing, want) {
		t.Errorf("got %+v, want %+v", got.Sharing, want)
	}
}

// What is too much is cut where it is written and where it is read, and what cannot be
// negative is not.
func TestSharingIsBounded(t *testing.T) {
	h := header
	h.Sharing = new(event.Sharing)
	for range 3 * event.MaxSharedLimits {
		h.Sharing.Limits = append(h.Sharing.Limits, event.SharedLimit{
			Policy: strings.Repeat("é\xff", 300), Keys: -1, Held: -1, Over: math.MinInt64, Lag: -time.Second, Count: math.MaxInt64,
			Assertions: math.MaxUint64,
		})
	}
	p := event.AppendHeader(nil, &h)
	if len(p) > 24<<10 {
		t.Errorf("a header of %d bytes", len(p))
	}
	got, _, _ := decode(t, new(event.Decoder), p)
	if n := len(got.Sharing.Limits); n != event.MaxSharedLimits {
		t.Errorf("%d limits", n)
	}
	for _, l := range got.Sharing.Limits {
		if len(l.Policy) > event.MaxPolicyText || l.Keys != 0 || l.Held != 0 || l.Over != 0 || l.Lag != 0 || l.Count != math.MaxInt64 {
			t.Fatalf("got %+v", l)
		}
	}
	var s raw
	for i := range 3 * event.MaxSharedLimits {
		s = s.bytes(13, string(raw{}.varint(7, math.MaxUint64).bytes(2, strings.Repeat(fmt.Sprint(i%10), 4000))))
	}
	got, _, _ = decode(t, new(event.Decoder), raw{}.bytes(1, string(raw{}.fixed(2, 1).fixed(4, 1).bytes(11, string(s)))))
	if n, l := len(got.Sharing.Limits), &got.Sharing.Limits[0]; n != event.MaxSharedLimits || len(l.Policy) != event.MaxPolicyText || l.Held != math.MaxInt64 {
		t.Errorf("%d limits, the first is %+v", n, l)
	}
}
