package drill

import (
	"errors"
	"time"

	"github.com/weir-project/weir/cluster"
)

// What a plan asks of the store.
type need int

const (
	anyStore  need = iota // that there is one, if it can be had
	ownStore              // one that was started for it
	sentinels             // likewise, with a replica and Sentinels
	proxied               // one behind a proxy
)

// A plan is how a failure is made, and what is promised meanwhile.
type plan struct {
	name, about string
	store       need
	broker      cluster.BrokerKind
	strike      func(c *cluster.Cluster) error
	// mend ends the failure after lasts; nil: the cluster has to get along.
	mend  func(c *cluster.Cluster) error
	lasts time.Duration
	// victim is the gateway that cannot answer meanwhile, from 1; zero: all can.
	victim int
	// boundedOver and eventualOver are by how many percent such limits may be exceeded in
	// a window in which the failure is.
	boundedOver, eventualOver float64
}

const (
	// outage is how long a failure lasts that is mended.
	outage = 4 * time.Second
	// usualOver is by how many percent limits that are not exact may be exceeded
	// at any time: news take some 10 ms, at these rates 3 requests.
	usualOver = 10
	// shareOver is by how much a limit may be exceeded while each of three gateways
	// has its part of it: in the first window what was spent before comes on top.
	shareOver = 67
)

var errGone = errors.New("there is no process to be harmed")

// of returns what does something to a process.
func of(which func(c *cluster.Cluster) *cluster.Process, what func(*cluster.Process) error) func(*cluster.Cluster) error {
	return func(c *cluster.Cluster) error {
		p := which(c)
		if p == nil {
			return errGone
		}
		return what(p)
	}
}

func plans() []plan {
	primary := func(c *cluster.Cluster) *cluster.Process { return c.Store.Primary }
	manager := func(c *cluster.Cluster) *cluster.Process { return c.Managers[0].Process }
	gateway := func(c *cluster.Cluster) *cluster.Process { return c.Gateways[0].Process }
	broker := func(c *cluster.Cluster) *cluster.Process { return c.Broker }
	kill, restart, pause, resume := (*cluster.Process).Kill, (*cluster.Process).Restart, (*cluster.Process).Pause, (*cluster.Process).Resume
	return []plan{
		{
			name: "store-kill", about: "the only Redis is killed, and started again with nothing in it",
			store: ownStore, strike: of(primary, kill), mend: of(primary, restart), lasts: outage,
			boundedOver: shareOver, eventualOver: shareOver,
		},
		{
			name: "store-failover", about: "the primary is killed, and Sentinels make its replica the primary",
			store: sentinels, strike: of(primary, kill), boundedOver: shareOver, eventualOver: shareOver,
		},
		{
			name: "store-hang", about: "Redis stands still, with all its connections",
			store: ownStore, strike: of(primary, pause), mend: of(primary, resume), lasts: outage,
			boundedOver: shareOver, eventualOver: shareOver,
		},
		{
			name: "store-flush", about: "all data of Redis is deleted",
			store: ownStore, strike: func(c *cluster.Cluster) error { return c.Store.Flush() },
			boundedOver: usualOver, eventualOver: usualOver,
		},
		{
			name: "store-slow", about: "each answer of Redis takes 300 ms",
			store:  proxied,
			strike: func(c *cluster.Cluster) error { c.Store.Proxy.Delay(300 * time.Millisecond); return nil },
			mend:   func(c *cluster.Cluster) error { c.Store.Proxy.Delay(0); return nil }, lasts: outage,
			boundedOver: shareOver, eventualOver: shareOver,
		},
		{
			name: "store-blackhole", about: "what is said to Redis, and by it, is lost on the way",
			store:  proxied,
			strike: func(c *cluster.Cluster) error { c.Store.Proxy.Swallow(true); return nil },
			mend:   func(c *cluster.Cluster) error { c.Store.Proxy.Swallow(false); return nil }, lasts: outage,
			boundedOver: shareOver, eventualOver: shareOver,
		},
		{
			name: "traffic-manager-kill", about: "one of the traffic managers is killed, and started again",
			strike: of(manager, kill), mend: of(manager, restart), lasts: outage,
			boundedOver: usualOver, eventualOver: usualOver,
		},
		{
			name: "traffic-manager-hang", about: "one of the traffic managers stands still, with all its connections",
			strike: of(manager, pause), mend: of(manager, resume), lasts: outage,
			boundedOver: usualOver, eventualOver: shareOver,
		},
		{
			name: "gateway-kill", about: "one of the gateways is killed, and started again",
			strike: of(gateway, kill), mend: of(gateway, restart), lasts: outage, victim: 1,
			boundedOver: usualOver, eventualOver: usualOver,
		},
		{
			name: "gateway-pause", about: "one of the gateways stands still while it holds rights, and goes on later",
			strike: of(gateway, pause), mend: of(gateway, resume), lasts: outage, victim: 1,
			boundedOver: usualOver, eventualOver: usualOver,
		},
		{
			name: "broker-kill", about: "the broker of decisions is killed, and started again",
			broker: cluster.Apart, strike: of(broker, kill), mend: of(broker, restart), lasts: outage,
			boundedOver: usualOver, eventualOver: usualOver,
		},
	}
}
