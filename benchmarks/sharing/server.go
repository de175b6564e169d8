package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server is a redis-server on loopback that saves nothing.
type server struct {
	address string
	process *process
	client  *redis.Client
}

// startServer starts a server, with data in dir. If of is not nil it is a replica of that,
// and connected to it when it is returned.
func startServer(ctx context.Context, dir string, of *server) (*server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no redis-server here (apt-get install redis-server)")
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	s := &server{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	args := []string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(ports[0]), "--dir", dir, "--save", "", "--appendonly", "no",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}
	if of != nil {
		_, port, _ := strings.Cut(of.address, ":")
		args = append(args, "--replicaof", "127.0.0.1", port)
	}
	if s.process, err = startProcess(fmt.Sprintf("redis-%d", ports[0]), dir, nil, program, args...); err != nil {
		return nil, err
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.address, Protocol: 2, DisableIdentity: true})
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		switch {
		case of == nil && s.client.Ping(ctx).Err() == nil:
			return s, nil
		case of != nil && of.figure(ctx, "replication", "connected_slaves") > 0 && s.text(ctx, "replication", "master_link_status") == "up":
			return s, nil
		case s.process.ended() || time.Since(began) > giveUp || ctx.Err() != nil:
			return nil, errors.Join(fmt.Errorf("redis-server does not answer: %s", s.process.tail()), s.stop())
		}
	}
}

func (s *server) stop() error { return errors.Join(s.client.Close(), s.process.stop()) }

// text returns a field of INFO, empty if there is none.
func (s *server) text(ctx context.Context, section, field string) string {
	text, err := s.client.Info(ctx, section).Bytes()
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		if v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(field+":")); ok {
			return string(v)
		}
	}
	return ""
}

func (s *server) figure(ctx context.Context, section, field string) float64 {
	v, _ := strconv.ParseFloat(s.text(ctx, section, field), 64)
	return v
}

// cpu returns the processor time that the server has used.
func (s *server) cpu(ctx context.Context) time.Duration {
	return time.Duration(1e9 * (s.figure(ctx, "cpu", "used_cpu_user") + s.figure(ctx, "cpu", "used_cpu_sys")))
}

// commands returns the time that the server has spent in each kind of command. In the rest of
// its time it reads, parses and writes.
func (s *server) commands(ctx context.Context) map[string]time.Duration {
	all := map[string]time.Duration{}
	text, _ := s.client.Info(ctx, "commandstats").Result()
	for line := range strings.Lines(text) {
		name, after, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if _, after, ok := strings.Cut(after, ",usec="); ok {
			micros, _, _ := strings.Cut(after, ",")
			n, _ := strconv.ParseInt(micros, 10, 64)
			all[name] = time.Duration(n) * time.Microsecond
		}
	}
	return all
}

// inCommands returns how much time went by in commands. What scripts call is in
// the time of scripts.
func inCommands(before, after map[string]time.Duration) (total time.Duration) {
	if d := after["evalsha"] - before["evalsha"]; d > 0 {
		return d
	}
	for name, d := range after {
		if name != "info" {
			total += d - before[name]
		}
	}
	return total
}
