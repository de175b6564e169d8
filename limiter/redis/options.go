package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Options say which store a [Store] speaks to, and how. Either Addr, or
// SentinelMaster and SentinelAddresses are required.
type Options struct {
	// Addr is the host and port of the server, which must be a primary.
	Addr string

	// SentinelMaster is the name under which the Sentinels know the primary. They
	// are asked, all at once, whenever a connection is made, and each second while
	// [Store.Run] runs, so that connections to one that was replaced are given up.
	SentinelMaster string
	// SentinelAddresses are the hosts and ports of the Sentinels.
	SentinelAddresses []string
	// SentinelUser and SentinelPassword are for the Sentinels, if they ask for any.
	SentinelUser, SentinelPassword string

	// User and Password are for the server. With a password alone, the user is the
	// server's default one; with neither, no credentials are sent.
	User, Password string
	// Database is the number of the database. All nodes must name the same.
	Database int
	// TLS, if not nil, is for connections to the server and to the Sentinels. If it names
	// no server, the host that is connected to must be in the certificate.
	TLS *tls.Config

	// DialTimeout bounds how long it takes to make a connection, which goes on if the
	// call that needs it no longer waits; zero: 1 s. A password is told within the call.
	DialTimeout time.Duration
	// Timeout bounds one call of [Store.Share], also if its ctx has no or a later
	// deadline; zero: 1 s.
	Timeout time.Duration

	// PoolSize is how many connections there are at most; zero: 8. A call takes one
	// for itself.
	PoolSize int
	// MaxIdle is how many connections are kept that nobody uses; zero: all. Calls that end
	// at the same moment may leave one more.
	MaxIdle int
	// MinIdle is how many connections are kept ready, from the first use on; zero: none.
	MinIdle int
	// PoolWait is how long a call waits when all connections are taken; zero: as
	// long as it may take at all; negative: not at all.
	PoolWait time.Duration
	// IdleTime is after what time a connection that no call has used is closed, be it
	// tested meanwhile or not; zero: never. The one that was used last is used last
	// again, so that all idle ones are used in turn. Connections are looked at each
	// IdleCheck, and when they are taken.
	IdleTime time.Duration
	// IdleCheck is how often [Store.Run] looks at the idle connections: it closes
	// what has been idle for IdleTime, tests them if TestWhileIdle, and makes new ones
	// if there are less than MinIdle. Zero: never.
	IdleCheck time.Duration
	// TestWhileIdle has idle connections tested each IdleCheck: the server must
	// answer a PING, or the connection is closed.
	TestWhileIdle bool
	// TestOnBorrow has a connection tested before a call uses it, which costs one more
	// round trip; if it fails, another one is taken.
	TestOnBorrow bool
	// TestOnReturn has a connection tested after a call has used it, likewise, in the
	// call's time.
	TestOnReturn bool

	// Prefix begins the names of all keys. Nodes that share counters have the same, nodes that
	// do not have others. Empty: "weir:".
	Prefix string
	// ClientName is how the server calls the connections, in CLIENT LIST; empty: they
	// have no name. It has no blanks.
	ClientName string
}

// The defaults of Options.
const (
	defaultPrefix  = "weir:"
	defaultTimeout = time.Second
	defaultPool    = 8
)

// withDefaults returns o with what is zero filled in, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if err := o.validate(); err != nil {
		return o, err
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = defaultTimeout
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.PoolSize == 0 {
		o.PoolSize = defaultPool
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = o.PoolSize
	}
	o.MinIdle = min(o.MinIdle, o.MaxIdle, o.PoolSize)
	return o, nil
}

// validate returns what is wrong with o.
func (o *Options) validate() error {
	switch {
	case o.SentinelMaster == "" && len(o.SentinelAddresses) > 0:
		return errors.New("redis: SentinelAddresses without SentinelMaster")
	case o.SentinelMaster != "" && len(o.SentinelAddresses) == 0:
		return errors.New("redis: SentinelMaster without SentinelAddresses")
	case o.SentinelMaster != "" && o.Addr != "":
		return errors.New("redis: Addr and SentinelMaster: only one says where the server is")
	case o.SentinelMaster == "" && o.Addr == "":
		return errors.New("redis: neither Addr nor SentinelMaster says where the server is")
	case o.Database < 0:
		return fmt.Errorf("redis: Database is %d", o.Database)
	case o.DialTimeout < 0 || o.Timeout < 0 || o.IdleTime < 0 || o.IdleCheck < 0:
		return errors.New("redis: DialTimeout, Timeout, IdleTime and IdleCheck are not negative")
	case o.PoolSize < 0 || o.MaxIdle < 0 || o.MinIdle < 0 || o.PoolSize > math.MaxInt16:
		return errors.New("redis: PoolSize, MaxIdle and MinIdle are from 0 to 32767")
	case strings.ContainsAny(o.ClientName, " \r\n\t"):
		return fmt.Errorf("redis: ClientName %q has blanks", o.ClientName)
	}
	for _, a := range o.addresses() {
		if err := validateAddress(a); err != nil {
			return err
		}
	}
	return nil
}

// addresses returns all addresses that o names.
func (o *Options) addresses() []string {
	if o.Addr != "" {
		return []string{o.Addr}
	}
	return o.SentinelAddresses
}

// validateAddress returns what is wrong with a host and port.
func validateAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("redis: address %q: want host:port", a)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return fmt.Errorf("redis: address %q: want host:port", a)
	}
	return nil
}
