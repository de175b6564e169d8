package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// master is the name under which Sentinels know the primary.
const master = "drill"

// A Store is the Redis or Valkey through which the nodes share their counters.
type Store struct {
	// Primary and Replica are processes; nil: the store was given, or there is no
	// replica.
	Primary, Replica *Process
	// Address is that of the primary.
	Address string
	// Sentinels are their addresses; none: there are none.
	Sentinels []string
	// Proxy stands before the store; nil: there is none.
	Proxy *Proxy
}

// FindServer returns the program of a Redis or Valkey server, if there is one.
func FindServer() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no redis-server and no valkey-server here: install one (apt-get install redis-server)")
}

// startStore starts what the options ask for.
func (c *Cluster) startStore(ctx context.Context) error {
	o := &c.options
	switch {
	case o.StoreAddress != "":
		c.Store = &Store{Address: o.StoreAddress}
	case o.Store:
		program, err := FindServer()
		if err != nil {
			return err
		}
		c.Store = &Store{}
		if c.Store.Primary, c.Store.Address, err = c.startServer(ctx, program, "store", ""); err != nil {
			return err
		}
		if o.Sentinels > 0 {
			if c.Store.Replica, _, err = c.startServer(ctx, program, "replica", c.Store.Address); err != nil {
				return err
			}
			if err := c.startSentinels(ctx, program, o.Sentinels); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	if !o.Proxy {
		return nil
	}
	var err error
	c.Store.Proxy, err = NewProxy(c.Store.Address)
	return err
}

// startServer starts a server, a replica if of is not empty, and waits until it
// answers.
func (c *Cluster) startServer(ctx context.Context, program, name, of string) (*Process, string, error) {
	ports, err := c.ports.free(1)
	if err != nil {
		return nil, "", err
	}
	port := fmt.Sprint(ports[0])
	args := []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", c.dir, "--daemonize", "no", "--save", "", "--appendonly", "no",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}
	want := "role:master"
	if of != "" {
		host, primary, _ := net.SplitHostPort(of) // it was made here
		args = append(args, "--replicaof", host, primary)
		want = "master_link_status:up"
	}
	p, err := c.run(name, nil, program, args...)
	if err != nil {
		return nil, "", err
	}
	at := "127.0.0.1:" + port
	return p, at, c.until(ctx, name+" answers", func(context.Context) error { return says(at, "INFO replication", want) })
}

// startSentinels starts Sentinels, and waits until they know each other and the
// replica. They hold the primary for lost after a second.
func (c *Cluster) startSentinels(ctx context.Context, program string, n int) error {
	host, port, _ := net.SplitHostPort(c.Store.Address) // it was made here
	ports, err := c.ports.free(n)
	if err != nil {
		return err
	}
	for i, p := range ports {
		name := fmt.Sprintf("sentinel%d", i+1)
		dir := filepath.Join(c.dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		file := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %s %s %s %d\n"+
			"sentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n", p, dir, master, host, port, n/2+1, master, master)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if _, err := c.run(name, nil, program, file, "--sentinel"); err != nil {
			return err
		}
		c.Store.Sentinels = append(c.Store.Sentinels, fmt.Sprintf("127.0.0.1:%d", p))
	}
	want := fmt.Sprintf("name=%s,status=ok,address=%s,slaves=1,sentinels=%d", master, c.Store.Address, n)
	for _, at := range c.Store.Sentinels {
		if err := c.until(ctx, "the Sentinels know each other", func(context.Context) error { return says(at, "INFO sentinel", want) }); err != nil {
			return err
		}
	}
	return nil
}

// Flush deletes all data of a store that the cluster started.
func (s *Store) Flush() error {
	if s.Primary == nil {
		return errors.New("the store was not started here: it is not flushed")
	}
	return says(s.Address, "FLUSHALL", "OK")
}

// says has a server carry out a command of words, and returns an error if what it
// answers does not have a text in it.
func says(at, command, want string) error {
	conn, err := net.DialTimeout("tcp", at, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	head, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	text := head
	var size int
	if n, _ := fmt.Sscanf(head, "$%d", &size); n == 1 && size > 0 && size < 1<<20 {
		body := make([]byte, size)
		for got := 0; got < size; {
			m, err := r.Read(body[got:])
			if err != nil {
				return err
			}
			got += m
		}
		text = string(body)
	}
	if !strings.Contains(text, want) {
		return fmt.Errorf("%s says %.60q to %s", at, text, command)
	}
	return nil
}

// configuration is the part of a node's configuration that says where the store is.
func (s *Store) configuration() string {
	text := "[apim.distributed_throttling]\nenable = true\n[apim.distributed_throttling.keyvalue_store]\n"
	if len(s.Sentinels) > 0 {
		return text + fmt.Sprintf("sentinel_master = %q\nsentinel_addresses = [%s]\n", master, quoted(s.Sentinels))
	}
	at := s.Address
	if s.Proxy != nil {
		at = s.Proxy.Address()
	}
	host, port, _ := net.SplitHostPort(at) // it was checked
	return text + fmt.Sprintf("host = %q\nport = %s\n", host, port)
}
