package app

import (
	"context"
	"net"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/limiter/redis"
)

// What follows says how a process of a configuration reaches others, for programs
// that try that out. Nothing is connected to.

// StoreOptions returns how a role of c reaches the store that how names, which is
// what [config.Config.Shared] returned for that role.
func StoreOptions(c *config.Config, r config.Role, how *config.Shared) (redis.Options, error) {
	s := &sharing{role: string(r), how: how}
	return s.options(c)
}

// SharesName returns what a traffic manager calls the store through which it shares:
// the same store, and the same secret as c has, have the same name.
func SharesName(c *config.Config, how *config.Shared) string { return sharesName(c, how) }

// ManagerDialer returns how a gateway of c makes TLS connections to traffic managers.
func ManagerDialer(c *config.Config) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	var g gatewayRole
	t, err := g.clientTLS(c)
	if err != nil {
		return nil, err
	}
	return dialTLS(t), nil
}

// A Topic is the way to the topic of one broker.
type Topic struct {
	broker.Transport
	// Run keeps what is needed to publish, and Err says why nothing can be
	// published now.
	Run func(context.Context) error
	Err func() error
}

// NewTopic returns the way of a node of c to a broker that runs apart.
func NewTopic(u broker.URL, c *config.Config) (*Topic, error) {
	k, err := newCarrier(u, c)
	if err != nil {
		return nil, err
	}
	return &Topic{Transport: k.Transport, Run: k.run, Err: k.err}, nil
}
