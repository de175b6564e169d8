package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// A Group is traffic managers that stand in for each other if they share their
// counters. Each group gets every event.
type Group struct {
	Managers []Manager
	// Type says how events are spread over managers that share their counters.
	// It means nothing for those that don't: each of them gets every event.
	Type Type
}

// A Manager is one traffic manager.
type Manager struct {
	// URL is of its endpoints, https or, on loopback addresses, http; without a
	// path it means /endpoints. Batches go to URL/events. It must lead to one
	// manager: several behind one URL would each be told everything anew,
	// whenever another of them answers.
	URL string
}

// A Type says which traffic manager of a group an event goes to.
type Type uint8

// The types.
const (
	LoadBalance Type = iota // each in turn, of those that are up
	Failover                // the first that is up
)

// String returns the type as it stands in configurations.
func (t Type) String() string {
	if t == Failover {
		return "failover"
	}
	return "loadbalance"
}

// Options say whom a gateway tells what it counted, and how. Zero values mean the
// defaults; Groups, Restate, Decide, DecideAll and Retire must be there.
type Options struct {
	// Groups are at least one, with at most 64 managers in all.
	Groups []Group
	// Node is the gateway's name, for people, and Incarnation its run; zero:
	// a random one.
	Node        string
	Incarnation uint64

	// User and Password are sent with every call. Away from loopback addresses
	// they must be there, unless there is a Certificate, and must not be
	// admin and admin.
	User, Password string
	// Certificate returns the certificate that the gateway shows; nil: none. It
	// is asked at each handshake, so the certificate can change.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// CAs are who may have signed the managers' certificates. Nil: those that
	// the system trusts; and managers at loopback addresses are then not verified,
	// since nobody signs certificates for them.
	CAs *x509.CertPool

	// QueueBytes bounds the memory for events that wait, of all managers together:
	// each has an equal share. 64 MiB.
	QueueBytes int
	// QueueAge is how long an event waits at most; 60 s.
	QueueAge time.Duration
	// Heartbeat is after how long without a call one is made without events; 1 s,
	// give or take a fifth.
	Heartbeat time.Duration
	// ConnectTimeout bounds one attempt to connect, with name look-up, and apart
	// from it the TLS handshake; 1 s. Timeout bounds a whole call; 2 s.
	ConnectTimeout, Timeout time.Duration
	// Linger is how long Run goes on after its context is done, to tell what
	// still waits to managers that answer; 1 s. Negative: not at all.
	Linger time.Duration

	// Restate returns restatements of what was counted in windows that are open
	// at now, and the number of the last Events that are in them. It is called by
	// several goroutines at once.
	Restate func(now time.Time) (n uint64, bodies []event.Body)
	// Refused returns what the gateway refused, as it stands at now; nil: nobody is
	// told. It goes along with a call of each manager once a heartbeat, and is called
	// by several goroutines at once.
	Refused func(now time.Time) *event.RefusedCalls
	// Sharing returns how the gateway shares counters, as it stands at now; nil: it
	// shares none. It goes along and is called like Refused.
	Sharing func(now time.Time) *event.Sharing
	// Decide takes a decision; skew is by how much the clock of its issuer is
	// ahead of ours. DecideAll takes all that are in force of those that an issuer has
	// made up to a number, before the first that it makes later. Retire takes it that an
	// issuer is no more. Decide is called by several goroutines at once, the others by one
	// at a time, all in order for each manager. They hold up what goes to that manager
	// until they return.
	Decide    func(d *weir.Decision, skew time.Duration)
	DecideAll func(issuer string, upTo uint64, ds []weir.Decision, skew time.Duration)
	Retire    func(issuer string)

	// Dial connects; nil: a net.Dialer. For simulations.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the gateway's clock, for simulations; nil: time.Now.
	Now func() time.Time
	// Log is told of what changes and of what is lost, not of single calls; nil: nobody.
	Log *slog.Logger
}

const (
	maxManagers = 64
	maxName     = 255 // bytes of Node, and of what managers call themselves and their store
)

// complete returns o with its defaults, and the addresses of its managers by
// group, or what is wrong.
func (o Options) complete() (Options, [][]address, error) {
	if err := o.required(); err != nil {
		return o, nil, err
	}
	if err := o.durations(); err != nil {
		return o, nil, err
	}
	switch {
	case o.QueueBytes < 0:
		return o, nil, fmt.Errorf("uplink: QueueBytes is negative: %d", o.QueueBytes)
	case o.QueueBytes == 0:
		o.QueueBytes = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Incarnation == 0 {
		o.Incarnation = rand.Uint64() | 1
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	groups, err := o.addresses()
	return o, groups, err
}

// required returns an error if something without a default is missing.
func (o *Options) required() error {
	switch {
	case len(o.Groups) == 0:
		return errors.New("uplink: Groups is missing")
	case o.Restate == nil:
		return errors.New("uplink: Restate is missing")
	case o.Decide == nil:
		return errors.New("uplink: Decide is missing")
	case o.DecideAll == nil:
		return errors.New("uplink: DecideAll is missing")
	case o.Retire == nil:
		return errors.New("uplink: Retire is missing")
	case len(o.Node) > maxName:
		return fmt.Errorf("uplink: Node has %d bytes, at most %d are fine", len(o.Node), maxName)
	case !utf8.ValidString(o.Node):
		return fmt.Errorf("uplink: Node is no UTF-8: %q", o.Node)
	case strings.Contains(o.User, ":"):
		return errors.New("uplink: User has a colon, which no user can have")
	}
	return nil
}

// durations sets those that are zero.
func (o *Options) durations() error {
	for _, d := range []struct {
		name string
		at   *time.Duration
		zero time.Duration
	}{
		{"QueueAge", &o.QueueAge, time.Minute},
		{"Heartbeat", &o.Heartbeat, time.Second},
		{"ConnectTimeout", &o.ConnectTimeout, time.Second},
		{"Timeout", &o.Timeout, 2 * time.Second},
	} {
		switch {
		case *d.at < 0:
			return fmt.Errorf("uplink: %s is negative: %v", d.name, *d.at)
		case *d.at == 0:
			*d.at = d.zero
		}
	}
	if o.Linger == 0 {
		o.Linger = time.Second
	}
	o.Linger = max(o.Linger, 0)
	return nil
}

// addresses returns those of the managers, by group.
func (o *Options) addresses() ([][]address, error) {
	groups := make([][]address, len(o.Groups))
	seen := make(map[address]bool)
	for i, g := range o.Groups {
		if len(g.Managers) == 0 {
			return nil, fmt.Errorf("uplink: group %d has no managers", i+1)
		}
		if g.Type > Failover {
			return nil, fmt.Errorf("uplink: group %d has an unknown type", i+1)
		}
		for _, m := range g.Managers {
			a, err := parseAddress(strings.TrimSpace(m.URL))
			if err != nil {
				return nil, fmt.Errorf("uplink: traffic manager %q: %w", m.URL, err)
			}
			if seen[a] {
				return nil, fmt.Errorf("uplink: traffic manager %s is there twice, so its limits would be half", a)
			}
			seen[a] = true
			if err := o.mayTell(a); err != nil {
				return nil, fmt.Errorf("uplink: traffic manager %s: %w", a, err)
			}
			groups[i] = append(groups[i], a)
		}
	}
	if len(seen) > maxManagers {
		return nil, fmt.Errorf("uplink: %d traffic managers, at most %d are fine", len(seen), maxManagers)
	}
	return groups, nil
}

// mayTell returns an error if what is sent to a would not be safe.
func (o *Options) mayTell(a address) error {
	switch {
	case a.loopback():
		return nil
	case !a.tls:
		return errors.New("over http everybody on the way could read the password: write https")
	case o.User == "" && o.Password == "" && o.Certificate != nil:
		return nil
	case o.User == "" || o.Password == "":
		return errors.New("user or password is blank, which only a manager on this machine may be told")
	case o.User == "admin" && o.Password == "admin":
		return errors.New("user and password are admin and admin, which everybody knows; only a manager on this machine may be told")
	}
	return nil
}
