// Package cluster starts gateways and traffic managers, and the store and the broker
// that they work with, as processes of their own on loopback: to be looked at, measured,
// or harmed by drills. Nothing is touched that was not started here.
package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Options say what a [Cluster] is made of. Weir, Gateways and Limits are required.
type Options struct {
	// Weir is the absolute path of the binary.
	Weir string
	// Gateways and Managers are how many there are. Without traffic managers each
	// gateway counts for itself, unless there is a store.
	Gateways, Managers int
	// Limits are those of the project that the gateways serve.
	Limits []*Limit
	// Store starts a Redis or Valkey; with Sentinels, also a replica and so many
	// of them. StoreAddress is one that is there already, host:port without a
	// password. With neither, nodes share nothing.
	Store        bool
	Sentinels    int
	StoreAddress string
	// Proxy puts a [Proxy] before the store, unless it has Sentinels.
	Proxy bool
	// Broker is what carries decisions. BrokerCommand are the arguments of the binary
	// for one that is Apart: it is told in WEIR_BROKER_LISTEN where to listen, and
	// in WEIR_BROKER_PASSWORD the password of the users manager and gateway.
	Broker        BrokerKind
	BrokerCommand []string
}

// A Cluster is processes that run.
type Cluster struct {
	Gateways, Managers []*Node
	Store              *Store   // nil: none
	Broker             *Process // nil: none that is apart

	options  Options
	dir      string
	secret   string
	artifact string
	ports    ports
	starter  *starter
	backend  *backend
	client   *http.Client
	brokers  []string
	running  []*Process // in the order in which they were started
}

// A Node is a gateway or a traffic manager.
type Node struct {
	*Process
	// URL is where requests or, of a traffic manager, events go.
	URL string
	// Management is the URL of its health and metrics.
	Management string
}

// user is the one for events. The password is made for the cluster.
const user = "cluster"

// Start starts everything, and returns when all gateways serve and everybody is
// connected to everybody. What it started it stops again if it fails.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "weir-cluster-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, dir: dir, secret: rand.Text(), ports: newPorts(), starter: newStarter(), client: &http.Client{Transport: &http.Transport{}}}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// start starts everything, in order, and waits until it is ready.
func (c *Cluster) start(ctx context.Context) (err error) {
	if c.backend, err = startBackend(); err != nil {
		return err
	}
	if c.artifact, err = c.makeProject(); err != nil {
		return err
	}
	if err := c.startStore(ctx); err != nil {
		return err
	}
	if err := c.startBroker(ctx); err != nil {
		return err
	}
	for i := range c.options.Managers {
		if err := c.startManager(i); err != nil {
			return err
		}
	}
	for i := range c.options.Gateways {
		if err := c.startGateway(i); err != nil {
			return err
		}
	}
	return c.Await(ctx)
}

// Stop stops everything and removes all files.
func (c *Cluster) Stop() error {
	c.client.CloseIdleConnections()
	err := stopAll(c.running)
	c.starter.stop()
	if c.Store != nil && c.Store.Proxy != nil {
		c.Store.Proxy.Close()
	}
	if c.backend != nil {
		c.backend.stop()
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// run starts a process.
func (c *Cluster) run(name string, env []string, program string, args ...string) (*Process, error) {
	p := &Process{Name: name, starter: c.starter, dir: c.dir, program: program, args: args}
	if err := p.start(env); err != nil {
		return nil, err
	}
	c.running = append(c.running, p)
	return p, nil
}

// serve starts a node of a role with a configuration.
func (c *Cluster) serve(name, role, config string) (*Process, error) {
	file := filepath.Join(c.dir, name+".toml")
	config = fmt.Sprintf("[node]\nname = %q\nsecret = %q\ndata = %q\n[apim.throttling]\nusername = %q\npassword = %q\n",
		name, c.secret, name, user, c.secret) + config
	if c.Store != nil {
		config += c.Store.configuration()
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return c.run(name, nil, c.options.Weir, "serve", "--role", role, "--config", file)
}

func (c *Cluster) startManager(i int) error {
	ports, err := c.ports.free(3)
	if err != nil {
		return err
	}
	m := &Node{URL: fmt.Sprintf("https://127.0.0.1:%d", ports[0]), Management: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	config := fmt.Sprintf("[traffic_manager]\nartifact = %q\n[management]\nhttps_host = \"127.0.0.1\"\nhttps_port = %d\nport = %d\n", c.artifact, ports[0], ports[1])
	if c.options.Broker == InManagers {
		at := fmt.Sprintf("127.0.0.1:%d", ports[2])
		config += fmt.Sprintf("[broker]\nlisten = %q\n", at)
		c.brokers = append(c.brokers, "nats://"+at)
	} else {
		config += c.brokerFor("manager")
	}
	c.Managers = append(c.Managers, m)
	m.Process, err = c.serve(fmt.Sprintf("traffic-manager-%d", i+1), "traffic-manager", config)
	return err
}

func (c *Cluster) startGateway(i int) error {
	ports, err := c.ports.free(2)
	if err != nil {
		return err
	}
	g := &Node{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), Management: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	config := fmt.Sprintf("[gateway]\nartifact = %q\n[listenerConfig]\nhost = \"127.0.0.1\"\nhttpPort = %d\nhttpsPort = -1\n[management]\nport = %d\n",
		c.artifact, ports[0], ports[1])
	if len(c.Managers) > 0 {
		var events []string
		for _, m := range c.Managers {
			events = append(events, m.URL+"/endpoints")
		}
		config += fmt.Sprintf("[[apim.throttling.url_group]]\ntraffic_manager_urls = [%s]\n", quoted(events)) + c.brokerFor("gateway")
	}
	c.Gateways = append(c.Gateways, g)
	g.Process, err = c.serve(fmt.Sprintf("gateway-%d", i+1), "gateway", config)
	return err
}

func quoted(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, fmt.Sprintf("%q", t))
	}
	return strings.Join(all, ", ")
}

// patience is how long one part of the cluster may take to be ready: RabbitMQ, the
// slowest, takes some ten seconds where nothing else runs.
const patience = time.Minute

// Await waits until all nodes that are to run serve, and are connected to everybody.
func (c *Cluster) Await(ctx context.Context) error {
	return c.until(ctx, "all nodes are ready", c.Whole)
}

// Whole returns nil if all nodes serve and are connected to everybody, else why not.
func (c *Cluster) Whole(ctx context.Context) error {
	for _, n := range append(append([]*Node(nil), c.Managers...), c.Gateways...) {
		if _, err := c.get(ctx, n.Management+"/readyz"); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	for _, g := range c.Gateways {
		if err := c.connected(ctx, g); err != nil {
			return fmt.Errorf("%s: %w", g.Name, err)
		}
	}
	return c.Shares(ctx)
}

// connected returns why a gateway is not connected to all traffic managers and
// brokers.
func (c *Cluster) connected(ctx context.Context, g *Node) error {
	if len(c.Managers) == 0 {
		return nil
	}
	text, err := c.get(ctx, g.Management+"/metrics")
	if err != nil {
		return err
	}
	if n := ones(text, "weir_events_traffic_manager_up{"); n != len(c.Managers) {
		return fmt.Errorf("%d of %d traffic managers answer it", n, len(c.Managers))
	}
	if n := ones(text, "weir_broker_listening{"); n != len(c.brokers) {
		return fmt.Errorf("it listens to %d of %d brokers", n, len(c.brokers))
	}
	return nil
}

// Shares returns nil if all nodes use the store, or there is none.
func (c *Cluster) Shares(ctx context.Context) error {
	if c.Store == nil {
		return nil
	}
	for _, n := range append(append([]*Node(nil), c.Managers...), c.Gateways...) {
		text, err := c.get(ctx, n.Management+"/metrics")
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if ones(text, "weir_shared_store_up{") != 1 {
			return fmt.Errorf("%s is without the store", n.Name)
		}
	}
	return nil
}

// ones returns how many metrics whose lines begin so are 1.
func ones(text, prefix string) (n int) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) && strings.HasSuffix(line, " 1\n") {
			n++
		}
	}
	return n
}

// until tries again and again until good has no error.
func (c *Cluster) until(ctx context.Context, what string, good func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := good(ctx)
		if err == nil {
			return nil
		}
		for _, p := range c.running {
			if err := p.failed(); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited until %s: %w: %w", what, ctx.Err(), err)
		}
	}
}

func (c *Cluster) get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return string(text), err
}

// Login returns the user as whom gateways send events, and who may look at traffic
// managers.
func (c *Cluster) Login() (name, password string) { return user, c.secret }

// Targets returns the URLs of a limit's requests, of each gateway one.
func (c *Cluster) Targets(l *Limit) []string {
	var urls []string
	for _, g := range c.Gateways {
		urls = append(urls, g.URL+l.path())
	}
	return urls
}
