package faults

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
)

// A saying is a message on a topic: what a traffic manager decided, or somebody's who
// has not the secret.
type saying struct {
	topic    string
	message  []byte
	decision *weir.Decision // nil: it is nobody's
}

// say tells all gateways what a traffic manager has decided.
func (f *fleet) say(d *weir.Decision) {
	s := &saying{broker.ThrottleData, broker.AppendDecision(nil, fleetSecret, d), d}
	if len(f.said) < 512 {
		f.said = append(f.said, s)
	} else {
		f.said[f.chance.IntN(len(f.said))] = s
	}
	if !f.away {
		f.spread(s)
	}
}

// spread has the topic carry a message to all gateways that it reaches.
func (f *fleet) spread(s *saying) {
	for i, g := range f.gateways {
		if f.deaf[i] || g.gate == nil {
			continue
		}
		r := g.gate
		f.copies(func(delay int64) { r.after(delay, func() { r.hear(s) }) })
	}
}

// copies calls carry for each copy of a message that arrives.
func (f *fleet) copies(carry func(delay int64)) {
	n := 1
	if f.chance.of(f.net.double) {
		n = 2
	}
	for range n {
		if !f.chance.of(f.net.loss) {
			carry(min(f.net.delay(f.chance), 20*second))
		}
	}
}

// otherSecret is that of somebody who does not belong to the fleet.
var otherSecret = broker.NewSecret([]byte("a guess"))

// forge says something that nobody in the fleet has said.
func (f *fleet) forge() {
	if len(f.said) == 0 {
		return
	}
	was := f.said[f.chance.IntN(len(f.said))]
	d := *was.decision
	s := &saying{topic: broker.ThrottleData}
	switch f.chance.IntN(6) {
	case 0: // signed with another secret
		d.Seq, d.Throttled = d.Seq+uint64(f.chance.between(0, 1000)), !d.Throttled
		s.message = broker.AppendDecision(nil, otherSecret, &d)
	case 1: // unsigned
		s.message = broker.AppendDecision(nil, broker.Secret{}, &d)
	case 2: // with the signature of another
		d.Seq, d.Ends = d.Seq+1000, d.Ends.Add(3600e9)
		d.Throttled = !d.Throttled
		s.message = grafted(broker.AppendDecision(nil, fleetSecret, &d), was.message)
	case 3: // changed on its way
		s.message = altered(f.chance, was)
	case 4: // on another topic
		s.topic, s.message = broker.Notification, was.message
	default: // cut off, or with a byte that is another
		s.message = bytes.Clone(was.message)
		if f.chance.of(0.5) {
			s.message = s.message[:f.chance.IntN(len(s.message))]
		} else {
			s.message[f.chance.IntN(len(s.message))] ^= 1 << f.chance.IntN(8)
		}
	}
	f.spread(s)
}

// altered returns a message of which one field says something else.
func altered(c chance, s *saying) []byte {
	d := s.decision
	for _, field := range []struct{ old, new string }{
		pick(c, struct{ old, new string }{`"isThrottled":true`, `"isThrottled":false`},
			struct{ old, new string }{fmt.Sprintf(`"seq":%d`, d.Seq), fmt.Sprintf(`"seq":%d`, d.Seq+1000)},
			struct{ old, new string }{`"expiryTimeStamp":1`, `"expiryTimeStamp":2`},
			struct{ old, new string }{fmt.Sprintf(`"issuer":%q`, d.Issuer), `"issuer":"nobody"`}),
		{`"isThrottled":false`, `"isThrottled":true`},
	} {
		if text := strings.Replace(string(s.message), field.old, field.new, 1); text != string(s.message) {
			return []byte(text)
		}
	}
	return nil
}

// grafted returns a message with the signature of another.
func grafted(message, other []byte) []byte {
	const field = `"signature":"`
	_, after, ok := bytes.Cut(other, []byte(field))
	before, mine, also := bytes.Cut(message, []byte(field))
	if !ok || !also {
		return nil
	}
	i, j := bytes.IndexByte(after, '"'), bytes.IndexByte(mine, '"')
	return bytes.Join([][]byte{before, []byte(field), after[:i], mine[j:]}, nil)
}

// repeat says again what was said before.
func (f *fleet) repeat() {
	if len(f.said) > 0 {
		f.spread(f.said[f.chance.IntN(len(f.said))])
	}
}
