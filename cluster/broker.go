package cluster

import (
	"context"
	"fmt"
)

// A BrokerKind says what carries the decisions of traffic managers to gateways.
type BrokerKind int

const (
	// InManagers is a NATS in each traffic manager.
	InManagers BrokerKind = iota
	// Apart is one NATS in a process of its own, see Options.BrokerCommand.
	Apart
	// RabbitMQ is a RabbitMQ, which takes some ten seconds to start. Its program
	// must be there.
	RabbitMQ
)

// startBroker starts what the options ask for. Without traffic managers there is
// nothing to be carried.
func (c *Cluster) startBroker(ctx context.Context) error {
	if c.options.Managers == 0 {
		return nil
	}
	switch c.options.Broker {
	case Apart:
		return c.startApart()
	case RabbitMQ:
		return c.startRabbitMQ(ctx)
	}
	return nil // they start with the traffic managers
}

func (c *Cluster) startApart() error {
	ports, err := c.ports.free(1)
	if err != nil {
		return err
	}
	at := fmt.Sprintf("127.0.0.1:%d", ports[0])
	c.Broker, err = c.run("broker", []string{"WEIR_BROKER_LISTEN=" + at, "WEIR_BROKER_PASSWORD=" + c.secret}, c.options.Weir, c.options.BrokerCommand...)
	c.brokers = []string{"nats://" + at}
	return err
}

// brokerFor is the part of a node's configuration that says where brokers are, and
// as whom one that is Apart knows the node.
func (c *Cluster) brokerFor(login string) string {
	kind := "nats"
	if c.options.Broker == RabbitMQ {
		kind = "amqp"
	}
	text := fmt.Sprintf("[broker]\ntype = %q\nurl = [%s]\n", kind, quoted(c.brokers))
	if c.options.Broker == Apart {
		text += fmt.Sprintf("user = %q\npassword = %q\n", login, c.secret)
	}
	return text
}
