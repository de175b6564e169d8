package amqp

import amqp "github.com/rabbitmq/amqp091-go"

// A login shows the broker who logs in, and asks it to say so if it refuses: it
// would else keep silent for seconds, and then hang up.
type login struct {
	amqp.PlainAuth
	properties amqp.Table // of the client, to which its library adds what it can do
}

// Response implements amqp.Authentication. The library calls it when it has added
// to the properties, and before it sends them.
func (l *login) Response() string {
	if can, ok := l.properties["capabilities"].(amqp.Table); ok {
		can["authentication_failure_close"] = true
	}
	return l.PlainAuth.Response()
}
