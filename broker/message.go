package broker

import "github.com/weir-project/weir"

// A Message is what a message tells. Exactly one of the pointers is set.
type Message struct {
	Decision     *weir.Decision
	Deny         *Deny
	KeyTemplate  *KeyTemplate
	PolicyChange *PolicyChange
}

// Parse returns what a message on a topic tells. Its error is a [*Fault]. Fields
// that it does not know do no harm. It allocates no more than a small multiple of
// MaxMessage, whatever the message.
func Parse(s Secret, topic string, message []byte) (Message, error) {
	p, err := open(message)
	if err != nil {
		return Message{}, err
	}
	decision, deny, notice := p.ThrottleKey != nil, p.BlockingCondition != nil, p.EventType != nil
	switch {
	case decision && deny || decision && notice || deny && notice:
		return Message{}, malformed("it tells two things at once")
	case topic == ThrottleData && decision:
		d, err := p.decision(s)
		if err != nil {
			return Message{}, err
		}
		return Message{Decision: &d}, nil
	case topic == ThrottleData && deny:
		d, err := p.deny(s)
		if err != nil {
			return Message{}, err
		}
		return Message{Deny: d}, nil
	case topic == Notification && notice:
		m, err := p.notice(s)
		if err != nil {
			return Message{}, err
		}
		return m, nil
	}
	return Message{}, unknown("nothing that is known is told on topic %s", cite(topic))
}
