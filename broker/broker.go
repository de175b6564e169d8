// Package broker carries what traffic managers decide to gateways, by topics:
// decisions, deny policies and key templates as WSO2's JSON with Weir's own fields
// beside it, signed. What carries the bytes is a [Transport]: in process, NATS or
// AMQP 0-9-1.
//
// A topic is a hint, not the truth: messages may be lost, come twice, late or out
// of order. What is in force can be had from a traffic manager at any time.
//
// A [Publisher] says things, [Listen] hears them. A message that is not what it
// should be, or not signed with the [Secret] that the fleet shares, has no effect:
// it is a [Fault], for the caller to count.
package broker

import (
	"context"
	"fmt"
)

// The topics, named as WSO2 names them.
const (
	// ThrottleData has decisions and deny policies.
	ThrottleData = "throttleData"
	// Notification has key templates of custom rules, and changes of policies.
	Notification = "notification"
)

// MaxMessage is how many bytes a message may have.
const MaxMessage = 64 << 10

// A Transport carries messages by topic, to all who subscribe at the time. It is
// safe for concurrent use. Topics are names as [CheckTopic] allows them.
type Transport interface {
	// Publish hands a message of at most MaxMessage bytes to the broker. It waits
	// no longer than ctx; where there is no connection it fails at once. A message
	// of which it says nil may still be lost, and one that ctx cut off may still
	// come. It keeps nothing of message.
	Publish(ctx context.Context, topic string, message []byte) error
	// Subscribe calls s until ctx is done, and then returns nil once no call is
	// left. It connects by itself, again and again, with a jittered back-off of at
	// most a few seconds. An error before that is one that no time mends: a topic
	// that may not be, or a broker that, asked for the first time, refuses the
	// user, the virtual host or the certificate. Later such a refusal is a loss
	// like any other, because gateways must outlive a broker that is set up anew.
	Subscribe(ctx context.Context, topic string, s Subscriber) error
}

// A Subscriber takes the messages of a topic, one call at a time. One that is slow
// loses the oldest messages, and is told by Lost and Connected.
type Subscriber interface {
	// Connected is called before the first message of each connection: whatever
	// was said before is missed, and must be had from elsewhere.
	Connected()
	// Lost is called when a connection has ended or could not be made, and why; or
	// when messages were dropped because s was slow.
	Lost(err error)
	// Message is called with each message, which it must neither keep nor change.
	Message(message []byte)
}

// CheckTopic returns an error if a topic may not be: it has 1 to 128 letters,
// digits, - and _, which mean the same to every broker.
func CheckTopic(topic string) error {
	if topic == "" || len(topic) > 128 {
		return fmt.Errorf("topic of %d bytes: a topic has from 1 to 128", len(topic))
	}
	for _, c := range []byte(topic) {
		if !isName(c) {
			return fmt.Errorf("topic %q: a topic has letters, digits, - and _ only", topic)
		}
	}
	return nil
}

// CheckMessage returns an error if a message may not be published.
func CheckMessage(topic string, message []byte) error {
	if err := CheckTopic(topic); err != nil {
		return err
	}
	if len(message) > MaxMessage {
		return fmt.Errorf("message of %d bytes: at most %d are carried", len(message), MaxMessage)
	}
	return nil
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
