package redis_test

import (
	"bufio"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis"
)

// A liar is a server that answers each command with the same, after it said no
// to HELLO as old servers do.
type liar struct {
	net.Listener
	answer func() string
	all    sync.WaitGroup
}

func startLiar(t *testing.T, answer string, close bool) string {
	t.Helper()
	return startServer(t, func() string { return answer }, close)
}

func startServer(t *testing.T, answer func() string, close bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &liar{Listener: l, answer: answer}
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.all.Go(func() {
				s.serve(c, close)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.all.Wait()
	})
	return l.Addr().String()
}

// serve answers all commands, or closes instead.
func (s *liar) serve(c net.Conn, close bool) {
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "*") {
			return
		}
		n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		var name string
		for i := range n {
			length, _ := r.ReadString('\n')
			size, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(length, "$")))
			text := make([]byte, size+2)
			for got := 0; got < len(text); {
				k, err := r.Read(text[got:])
				if err != nil {
					return
				}
				got += k
			}
			if i == 0 {
				name = strings.ToUpper(string(text[:size]))
			}
		}
		if name == "HELLO" {
			_, _ = c.Write([]byte("-ERR unknown command 'HELLO'\r\n"))
			continue
		}
		if close {
			return
		}
		_, _ = c.Write([]byte(s.answer()))
	}
}

// TestHostile shares with servers that answer something else: there is an error
// that says so, soon, and nothing is reserved for what was only announced.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, answer, want string }{
		{"a text that is none of ours", "$5\r\nhello\r\n", "none of the script's: it has 5 bytes"},
		{"an empty text", "$0\r\n\r\n", "none of the script's"},
		{"nothing", "$-1\r\n", "none of the script's"},
		{"no array", "*-1\r\n", "none of the script's"},
		{"a number", ":17\r\n", "none of the script's"},
		{"an array", "*2\r\n:1\r\n:2\r\n", "none of the script's"},
		{"a short array", "*2\r\n:1\r\n", "no answer in time"},
		{"half a text", "$50\r\nhello", "no answer in time"},
		{"a number that is none", ":1x\r\n", "invalid syntax"},
		{"a huge text", "$2000000000\r\nx", "no Redis or Valkey"},
		{"a text without end", "$9223372036854775807\r\nx", "no Redis or Valkey"},
		{"a text below zero", "$-9\r\n", "no Redis or Valkey"},
		{"a huge array", "*1000000000\r\n", "no Redis or Valkey"},
		{"arrays without end", strings.Repeat("*1\r\n", 10_000), "no Redis or Valkey"},
		{"a line without end", "+" + strings.Repeat("x", 1<<20), "no Redis or Valkey"},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", `no Redis or Valkey: it says "HTTP/1.1`},
		{"bytes", "\x00\xff\x17\x03\r\n", "no Redis or Valkey"},
		{"RESP3", "%1\r\n+a\r\n:1\r\n", "no Redis or Valkey"},
		{"an error", "-ERR out of luck\r\n", `the server says "ERR out of luck"`},
		{"a long error", "-ERR " + strings.Repeat("x", 10_000) + "\r\n", `"ERR xxxx`},
		{"an error with control characters", "-ERR \x1b[2J\r\n", `"ERR \x1b[2J"`},
		{"READONLY", "-READONLY You can't write against a read only replica.\r\n", "is a replica, not a primary"},
		{"READONLY in a script", "-ERR Error running script (call to f_1): @user_script:5: -READONLY You can't write\r\n", "is a replica, not a primary"},
		{"MASTERDOWN", "-MASTERDOWN Link with MASTER is down\r\n", "has lost its primary"},
		{"LOADING", "-LOADING Redis is loading the dataset in memory\r\n", "still loading"},
		{"OOM", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "memory is full"},
		{"NOAUTH", "-NOAUTH Authentication required.\r\n", "asks for a password"},
		{"NOPERM", "-NOPERM this user has no permissions\r\n", "may not do this"},
		{"MOVED", "-MOVED 3999 127.0.0.1:6381\r\n", "sharded cluster"},
		{"CROSSSLOT", "-CROSSSLOT Keys in request don't hash to the same slot\r\n", "sharded cluster"},
		{"CLUSTERDOWN", "-CLUSTERDOWN Hash slot not served\r\n", "sharded cluster"},
		{"NOREPLICAS", "-NOREPLICAS Not enough good replicas to write.\r\n", "too few replicas"},
		{"MISCONF", "-MISCONF Redis is configured to save RDB snapshots\r\n", "cannot save"},
		{"BUSY", "-BUSY Redis is busy running a script.\r\n", "busy with a script"},
		{"too many clients", "-ERR max number of clients reached\r\n", "too many clients"},
		{"no answer", "", "no answer in time"},
		{"one answer and more", "$5\r\nhello\r\n$5\r\nhello\r\n", "none of the script's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, redis.Options{Addr: startLiar(t, test.answer, false), PoolSize: 2})
			for range 2 {
				_, err := try(t, s, 1, of(1, 1, 1, 0), 300*time.Millisecond)
				wantError(t, err, test.want)
			}
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there was no error, want one with %q", want)
	}
	text := err.Error()
	if !strings.Contains(text, want) || !strings.HasPrefix(text, "redis: share 1 counters: ") || len(text) > 600 || strings.ContainsAny(text, "\r\x1b") {
		t.Errorf("got error %q, want one with %q", text, want)
	}
}

// TestHostileMemory has servers announce much, and counts what that takes.
func TestHostileMemory(t *testing.T) {
	for _, answer := range []string{"$1000000000\r\n", "*1000000000\r\n", "$1048576\r\n"} {
		addr := startLiar(t, answer, false)
		s := open(t, redis.Options{Addr: addr, PoolSize: 1})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := try(t, s, 1, of(1, 1, 1, 0), 200*time.Millisecond)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%q: there was no error", answer)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
			t.Errorf("%q: %d bytes were reserved", answer, took)
		}
	}
}

// TestClosed shares with a server that closes connections, and with none.
func TestClosed(t *testing.T) {
	t.Parallel()
	s := open(t, redis.Options{Addr: startLiar(t, "", true)})
	if _, err := try(t, s, 1, of(1, 1, 1, 0), time.Second); err == nil || !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") {
		t.Errorf("got error %v, want that the connection was closed", err)
	}
	s = open(t, redis.Options{Addr: "127.0.0.1:1"})
	if _, err := try(t, s, 1, of(1, 1, 1, 0), time.Second); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got error %v, want that it was refused", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := try(t, s, 1, of(1, 1, 1, 0), time.Second); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got error %v, want that the store was closed", err)
	}
}
