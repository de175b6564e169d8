package event

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// AppendReply appends the answer r to dst and returns the result. What is no UTF-8
// in its texts becomes U+FFFD.
func AppendReply(dst []byte, r *Reply) []byte {
	dst = appendFixed(dst, 1, r.Manager)
	dst = appendText(dst, 2, utf8Of(r.Issuer))
	dst = appendFixed(dst, 3, nanos(r.Now))
	dst = appendBool(dst, 4, r.Restate)
	var buf [512]byte
	for i := range r.Refused {
		f := &r.Refused[i]
		m := appendUint(buf[:0], 1, uint64(max(0, f.Index)))
		m = appendText(m, 2, utf8Of(f.Reason))
		dst = append(appendLength(dst, 5, len(m)), m...)
	}
	dst = appendUint(dst, 6, uint64(max(0, r.Late)))
	dst = appendText(dst, 7, utf8Of(r.Shares))
	for i := range r.Decisions {
		m := appendDecision(buf[:0], &r.Decisions[i], r.Issuer)
		dst = append(appendLength(dst, 8, len(m)), m...)
	}
	dst = appendBool(dst, 9, r.All)
	return appendUint(dst, 10, r.Version)
}

// appendDecision appends the fields of d, which an issuer tells.
func appendDecision(dst []byte, d *weir.Decision, issuer string) []byte {
	dst = appendFixed(dst, 1, uint64(d.Key))
	dst = appendText(dst, 2, utf8Of(d.Text))
	dst = appendUint(dst, 3, uint64(d.Level))
	dst = appendText(dst, 4, utf8Of(d.Policy))
	dst = appendSint(dst, 5, int64(d.Group))
	dst = appendBool(dst, 6, d.Throttled)
	if !d.Begins.IsZero() { // the epoch is a beginning, too
		dst = binary.AppendUvarint(dst, field(7, fixed64))
		dst = binary.LittleEndian.AppendUint64(dst, nanos(d.Begins))
	}
	dst = appendFixed(dst, 8, nanos(d.Ends))
	if d.Issuer != issuer {
		dst = appendText(dst, 9, utf8Of(d.Issuer))
	}
	dst = appendUint(dst, 10, d.Seq)
	dst = appendFixed(dst, 11, nanos(d.Issued))
	return appendText(dst, 12, utf8Of(d.Conditions))
}

func utf8Of(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// ParseReply returns the answer p. Decisions that no gateway can use are left out:
// those on levels that are not known here, on nothing, and without an end. A
// decision without an issuer is of the answer's. ParseReply keeps nothing of p.
func ParseReply(p []byte) (Reply, error) {
	var reply Reply
	r := reader{s: string(p)}
	reply.parse(&r)
	if r.err != nil {
		return Reply{}, fmt.Errorf("reply: %w", r.err)
	}
	for i := range reply.Decisions {
		if d := &reply.Decisions[i]; d.Issuer == "" {
			d.Issuer = reply.Issuer
		}
	}
	return reply, nil
}

// parse reads the fields of an answer.
func (reply *Reply) parse(r *reader) {
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, fixed64):
			reply.Manager = r.fixed64()
		case field(2, length):
			reply.Issuer = strings.Clone(r.utf8())
		case field(3, fixed64):
			reply.Now = instant(r.fixed64())
		case field(4, varint):
			reply.Restate = r.uint() != 0
		case field(5, length):
			if len(reply.Refused) == MaxEvents {
				r.fail(errManyEvents)
			}
			reply.Refused = append(reply.Refused, readRefusal(r))
		case field(6, varint):
			reply.Late = int(min(r.uint(), math.MaxInt))
		case field(7, length):
			reply.Shares = strings.Clone(r.utf8())
		case field(8, length):
			reply.addDecision(r)
		case field(9, varint):
			reply.All = r.uint() != 0
		case field(10, varint):
			reply.Version = r.uint()
		default:
			r.skip(tag)
		}
	}
}

func readRefusal(from *reader) (f Refusal) {
	r := from.message()
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, varint):
			f.Index = int(uint32(r.uint()))
		case field(2, length):
			f.Reason = strings.Clone(r.utf8())
		default:
			r.skip(tag)
		}
	}
	from.within(&r)
	return f
}

// addDecision reads a decision, and adds it if a gateway can use it.
func (reply *Reply) addDecision(from *reader) {
	r := from.message()
	var last weir.Decision
	if n := len(reply.Decisions); n > 0 {
		last = reply.Decisions[n-1]
	}
	d, level := readDecision(&r, &last)
	from.within(&r)
	known := level >= 0 && level <= int32(weir.LevelBackend)
	if known && (d.Key != 0 || d.Text != "") && !d.Ends.IsZero() {
		d.Level = weir.Level(level)
		reply.Decisions = append(reply.Decisions, d)
	}
}

// readDecision reads the fields of a decision, and apart from it its level, which
// need not be known. What it has in common with last it shares.
func readDecision(r *reader, last *weir.Decision) (d weir.Decision, level int32) {
	for r.more() {
		switch tag := r.tag(); tag {
		case field(1, fixed64):
			d.Key = limiter.Key(r.fixed64())
		case field(2, length):
			d.Text = strings.Clone(r.utf8())
		case field(3, varint):
			level = int32(r.uint())
		case field(4, length):
			d.Policy = same(r.utf8(), last.Policy)
		case field(5, varint):
			d.Group = int(unzigzag(uint64(uint32(r.uint()))))
		case field(6, varint):
			d.Throttled = r.uint() != 0
		case field(7, fixed64):
			d.Begins = time.Unix(0, int64(r.fixed64())).UTC()
		case field(8, fixed64):
			d.Ends = instant(r.fixed64())
		case field(9, length):
			d.Issuer = same(r.utf8(), last.Issuer)
		case field(10, varint):
			d.Seq = r.uint()
		case field(11, fixed64):
			d.Issued = instant(r.fixed64())
		case field(12, length):
			d.Conditions = same(r.utf8(), last.Conditions)
		default:
			r.skip(tag)
		}
	}
	return d, level
}

// same returns last, if it is equal to s, and else a copy of s.
func same(s, last string) string {
	if s == last {
		return last
	}
	return strings.Clone(s)
}
