package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The kinds of broker.
const (
	brokerNATS = "nats"
	brokerAMQP = "amqp"
)

type fleetOptions struct {
	weir               string // the binary; empty builds one
	broker             string
	gateways, managers int
	alone              bool
}

// A fleet is gateways and traffic managers that are running.
type fleet struct {
	options  fleetOptions
	dir      string
	secret   string
	artifact string
	backend  *backend
	running  []*process // in the order in which they were started
	brokers  []string   // URLs

	gateways []gateway
	managers []manager
}

type gateway struct{ url, management string }

type manager struct{ events, management, topic string }

// The user for events. The password is made for the fleet.
const fleetUser = "cluster"

// startFleet starts everything, and returns when all gateways serve, are known to
// all traffic managers and hear their decisions. What it started it stops again if
// it fails.
func startFleet(ctx context.Context, o fleetOptions, limits []*limit) (f *fleet, err error) {
	if o.gateways < 1 || o.managers < 1 {
		return nil, errors.New("there must be a gateway and a traffic manager")
	}
	if o.broker != brokerNATS && o.broker != brokerAMQP {
		return nil, fmt.Errorf("there is no broker %q: it is %s or %s", o.broker, brokerNATS, brokerAMQP)
	}
	f = &fleet{options: o, secret: rand.Text()}
	if f.dir, err = os.MkdirTemp("", "weir-cluster-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
		}
	}()
	if f.backend, err = startBackend(); err != nil {
		return nil, err
	}
	if f.options.weir, err = f.binary(); err != nil {
		return nil, err
	}
	if f.artifact, err = makeProject(f.options.weir, f.dir, f.backend.address(), limits); err != nil {
		return nil, err
	}
	if o.broker == brokerAMQP && !o.alone {
		if err := f.startRabbitMQ(ctx); err != nil {
			return nil, err
		}
	}
	if !o.alone {
		for i := range o.managers {
			if err := f.startManager(i); err != nil {
				return nil, err
			}
		}
	}
	for i := range o.gateways {
		if err := f.startGateway(i); err != nil {
			return nil, err
		}
	}
	return f, f.ready(ctx)
}

// binary returns the path of the binary, which it builds if there is none.
func (f *fleet) binary() (string, error) {
	if f.options.weir != "" {
		return filepath.Abs(f.options.weir)
	}
	to := filepath.Join(f.dir, "weir")
	return to, build(to)
}

// build builds the binary.
func build(to string) error {
	if out, err := exec.Command("go", "build", "-C", "..", "-o", to, "./cmd/weir").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %s: %w", out, err)
	}
	return nil
}

// serve starts a process of a role with a configuration.
func (f *fleet) serve(name, role, config string) error {
	file := filepath.Join(f.dir, name+".toml")
	config = fmt.Sprintf("[node]\nname = %q\nsecret = %q\ndata = %q\n[log]\nlevel = \"info\"\n", name, f.secret, name) + config
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	p, err := start(name, f.dir, nil, f.options.weir, "serve", "--role", role, "--config", file)
	if err != nil {
		return err
	}
	f.running = append(f.running, p)
	return nil
}

func (f *fleet) startManager(i int) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	m := manager{
		events:     fmt.Sprintf("https://127.0.0.1:%d", ports[0]),
		management: fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
		topic:      fmt.Sprintf("nats://127.0.0.1:%d", ports[2]),
	}
	config := fmt.Sprintf(`
[traffic_manager]
artifact = %q
[management]
https_host = "127.0.0.1"
https_port = %d
port = %d
[apim.throttling]
username = %q
password = %q
`, f.artifact, ports[0], ports[1], fleetUser, f.secret)
	if f.options.broker == brokerAMQP {
		config += fmt.Sprintf("[broker]\ntype = \"amqp\"\nurl = [%q]\n", f.brokers[0])
	} else {
		config += fmt.Sprintf("[broker]\nlisten = \"127.0.0.1:%d\"\n", ports[2])
		f.brokers = append(f.brokers, m.topic)
	}
	f.managers = append(f.managers, m)
	return f.serve(fmt.Sprintf("manager%d", i+1), "traffic-manager", config)
}

func (f *fleet) startGateway(i int) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	f.gateways = append(f.gateways, gateway{fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])})
	config := fmt.Sprintf(`
[gateway]
artifact = %q
[listenerConfig]
host = "127.0.0.1"
httpPort = %d
httpsPort = -1
[management]
port = %d
`, f.artifact, ports[0], ports[1])
	if !f.options.alone {
		var events []string
		for _, m := range f.managers {
			events = append(events, m.events+"/endpoints")
		}
		config += fmt.Sprintf(`
[apim.throttling]
username = %q
password = %q
[[apim.throttling.url_group]]
traffic_manager_urls = [%s]
[broker]
type = %q
url = [%s]
`, fleetUser, f.secret, quoted(events), f.options.broker, quoted(f.brokers))
	}
	return f.serve(fmt.Sprintf("gateway%d", i+1), "gateway", config)
}

func quoted(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, fmt.Sprintf("%q", t))
	}
	return strings.Join(all, ", ")
}

// patience is how long the fleet may take to be ready.
const patience = 30 * time.Second

var (
	connected = regexp.MustCompile(`(?m)^weir_events_traffic_manager_up\{.*\} 1$`)
	listening = regexp.MustCompile(`(?m)^weir_broker_listening\{.*\} 1$`)
)

// ready waits until everybody serves and knows everybody.
func (f *fleet) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, m := range f.managers {
		if err := f.until(ctx, m.management+"/readyz", func(string) bool { return true }); err != nil {
			return err
		}
	}
	for _, g := range f.gateways {
		if err := f.until(ctx, g.management+"/readyz", func(string) bool { return true }); err != nil {
			return err
		}
		if f.options.alone {
			continue
		}
		err := f.until(ctx, g.management+"/metrics", func(text string) bool {
			return len(connected.FindAllString(text, -1)) == len(f.managers) && len(listening.FindAllString(text, -1)) == len(f.brokers)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until asks a URL until it answers with 200 and a body as it should be.
func (f *fleet) until(ctx context.Context, url string, good func(text string) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := get(ctx, url)
		if err == nil && good(text) {
			return nil
		}
		for _, p := range f.running {
			if p.ended() {
				return fmt.Errorf("%s ended: %s", p.name, p.tail())
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not as it should be: %w (%w)", url, ctx.Err(), err)
		}
	}
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
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

// targets returns the URLs of a limit's path at all gateways.
func (f *fleet) targets(l *limit) []string {
	var urls []string
	for _, g := range f.gateways {
		urls = append(urls, g.url+l.path())
	}
	return urls
}

// stop stops everything and removes the folder.
func (f *fleet) stop() error {
	http.DefaultClient.CloseIdleConnections()
	err := stopAll(f.running)
	if f.backend != nil {
		f.backend.stop()
	}
	return errors.Join(err, os.RemoveAll(f.dir))
}
