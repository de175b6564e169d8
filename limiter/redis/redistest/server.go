//go:build unix

// Package redistest starts Redis and Valkey servers, replicas and Sentinels for tests: each a
// process of its own, on loopback, with data in a folder of the test, that ends
// with the test.
package redistest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/weir-project/weir/test/realserver"
)

// patience is how long anything is waited for.
const patience = 20 * time.Second

// Options say what a server is like. The zero value is a Redis server without
// password, TLS or persistence.
type Options struct {
	// Valkey starts a Valkey server, and skips the test where none can be had.
	Valkey bool
	// TLS has the server listen with TLS only.
	TLS bool
	// Of is the primary of which the server is a replica; nil: it is a primary.
	Of *Server
	// At is where it runs.
	At Place
	// Args are further arguments, such as "--maxmemory", "4mb".
	Args []string
}

// A Place is where a server runs. The zero value is here, on loopback.
type Place struct {
	// Namespace is the network that it runs in; nil: this one.
	Namespace *realserver.Namespace
	// Host is the address at which it listens; empty: on loopback.
	Host string
}

// host returns the address at which servers there listen.
func (p Place) host() string {
	if p.Host == "" {
		return "127.0.0.1"
	}
	return p.Host
}

// start starts a program there.
func (p Place) start(t testing.TB, dir, program string, args ...string) *realserver.Process {
	t.Helper()
	command := p.Namespace.Command(program, args...)
	return realserver.Start(t, dir, nil, command[0], command[1:]...)
}

// A Server is a server in a process of its own.
type Server struct {
	// Addr is its host and port. It stays the same when the server starts again.
	Addr string
	// TLS is for clients, nil for servers without.
	TLS *tls.Config

	options Options
	program string
	dir     string
	port    string
	process *realserver.Process
	client  *redis.Client
}

// Start starts a server, which takes some milliseconds. Where there is no
// redis-server, it skips the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{options: o, dir: t.TempDir()}
	if o.Valkey {
		s.program = valkey(t)
	} else {
		var err error
		if s.program, err = exec.LookPath("redis-server"); err != nil {
			t.Skip("NOT TESTED: there is no redis-server here (apt-get install redis-server)")
		}
	}
	if o.TLS {
		c := realserver.NewCertificate(t)
		s.TLS = c.Client
		for name, text := range map[string][]byte{"cert.pem": c.Cert, "key.pem": c.Key} {
			if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for tries := 5; ; tries-- {
		s.port = realserver.FreePort(t)
		s.Addr = net.JoinHostPort(o.At.host(), s.port)
		if s.try(t) {
			break
		}
		if tries == 0 || !strings.Contains(s.process.Output(), "in use") {
			t.Fatalf("the server has ended:\n%s", s.process.Output())
		}
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.TLS, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 2})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.process.Kill()
	})
	return s
}

// try starts the process, and reports whether it listens. It does not if the port
// was taken meanwhile.
func (s *Server) try(t testing.TB) bool {
	t.Helper()
	args := []string{
		"--bind", s.options.At.host(), "--protected-mode", "no", "--dir", s.dir, "--daemonize", "no", "--save", "", "--appendonly", "no",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
	}
	if s.TLS == nil {
		args = append(args, "--port", s.port)
	} else {
		args = append(args, "--port", "0", "--tls-port", s.port, "--tls-auth-clients", "no", "--tls-replication", "yes",
			"--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem")
	}
	if of := s.options.Of; of != nil {
		args = append(args, "--replicaof", of.options.At.host(), of.port)
	}
	s.process = s.options.At.start(t, s.dir, s.program, slices.Concat(args, s.options.Args)...)
	began := time.Now()
	for {
		switch text := s.process.Output(); {
		case strings.Contains(text, "Ready to accept connections"):
			return true
		case s.process.Ended():
			return false
		case time.Since(began) > patience:
			t.Fatalf("the server does not listen:\n%s", text)
		}
		time.Sleep(time.Millisecond)
	}
}

// Restart starts the server again, with the data that it has saved: none, unless its options say so.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.process.Kill()
	if !s.try(t) {
		t.Fatalf("the server has ended:\n%s", s.process.Output())
	}
}

// Kill ends the server without warning.
func (s *Server) Kill() { s.process.Kill() }

// Hang stops the server's process: connections stay, and nothing answers.
func (s *Server) Hang() { s.process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() { s.process.Signal(syscall.SIGCONT) }

// Port returns the server's port.
func (s *Server) Port() string { return s.port }

// Do has the server carry out a command as its administrator.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	answer, err := s.Try(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// Try is Do for commands that may fail.
func (s *Server) Try(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.client.Do(ctx, args...).Result()
}

// Info returns a field of INFO, empty if there is none.
func (s *Server) Info(field string) string {
	text, err := s.Try("INFO", "everything")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(fmt.Sprint(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

// AwaitReplicas waits until n replicas have the server's data.
func (s *Server) AwaitReplicas(t testing.TB, n int) {
	t.Helper()
	realserver.Until(t, patience, fmt.Sprintf("%s has %d replicas", s.Addr, n), func() bool {
		text, err := s.Try("INFO", "replication")
		return err == nil && strings.Count(fmt.Sprint(text), "state=online") == n
	})
}

// Promote makes a replica a primary.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.Do(t, "REPLICAOF", "NO", "ONE")
}

// Eternal returns, of each database, how many keys never expire, if any.
func (s *Server) Eternal(t testing.TB) (found []string) {
	t.Helper()
	for line := range strings.Lines(fmt.Sprint(s.Do(t, "INFO", "keyspace"))) {
		var db, keys, expires int
		if n, _ := fmt.Sscanf(line, "db%d:keys=%d,expires=%d", &db, &keys, &expires); n == 3 && keys > expires {
			found = append(found, fmt.Sprintf("%d of %d keys of database %d", keys-expires, keys, db))
		}
	}
	return found
}
