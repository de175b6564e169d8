// Package broker carries what traffic managers decide to gateways, by topics:
// decisions, deny policies and key templates as WSO2's JSON with Weir's own fields
// beside it, signed. What carries the bytes is a [Transport]: in process, NATS or
// AMQP 0-9-1.
//
// A topic is a hint, not the truth: messages may be lost, come twice, late or out
// of order. What is in force can be had from a traffic manager at any time.
package broker

import "context"

// The topics, named as WSO2 names them.
const (
	// ThrottleData has decisions and deny policies.
	ThrottleData = "throttleData"
	// Notification has key templates of custom rules, and changes of policies.
	Notification = "notification"
)

// A Transport carries messages by topic, to all who subscribe at the time. It is
// safe for concurrent use.
type Transport interface {
	// Publish hands a message to the broker. It waits no longer than ctx; where
	// there is no connection it fails at once. A message of which it says nil
	// may still be lost.
	Publish(ctx context.Context, topic string, message []byte) error
	// Subscribe calls s until ctx is done, and then returns nil once no call is
	// left. It connects by itself, again and again, with a jittered back-off of at
	// most a few seconds. An error before that is one that no time mends: a wrong
	// URL, a topic that may not be.
	Subscribe(ctx context.Context, topic string, s Subscriber) error
}

// A Subscriber takes the messages of a topic, one call at a time.
type Subscriber interface {
	// Connected is called before the first message of each connection: whatever
	// was said before is missed, and must be had from elsewhere.
	Connected()
	// Lost is called when a connection has ended or could not be made, and why.
	Lost(err error)
	// Message is called with each message, which it must not keep.
	Message(message []byte)
}
