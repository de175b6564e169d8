package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// backendAnswer is what the backend says to everything: 1 KB.
var backendAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" +
	strings.Repeat("x", 1024))

// startBackend serves backendAnswer and returns its address.
func startBackend() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String(), nil
}

func answer(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 8192)
	n := 0
	for {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += m
		if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			n = 0
			if _, err := c.Write(backendAnswer); err != nil {
				return
			}
		}
	}
}

// drive sends request over and over on so many connections for so long, and
// counts the answers. An answer of another status than want, if want is not 0,
// is an error.
func drive(addr, request string, clients int, length time.Duration, want int, answered *int64) error {
	deadline := time.Now().Add(length)
	var group sync.WaitGroup
	var first atomic.Pointer[error]
	for range clients {
		group.Go(func() {
			n, err := client(addr, []byte(request), deadline, want)
			if err != nil {
				first.CompareAndSwap(nil, &err)
			}
			if answered != nil {
				atomic.AddInt64(answered, n)
			}
		})
	}
	group.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

func client(addr string, request []byte, deadline time.Time, want int) (int64, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(deadline.Add(10 * time.Second))
	r := answers{c: c}
	for n := int64(0); ; n++ {
		if n%16 == 0 && time.Now().After(deadline) {
			return n, nil
		}
		if _, err := c.Write(request); err != nil {
			return n, err
		}
		if err := r.next(want); err != nil {
			return n, err
		}
	}
}

// answers reads answers off a connection, at as little cost as may be: the
// clients must not be what is waited for.
type answers struct {
	c   net.Conn
	buf [16 << 10]byte
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("content-length: ")
)

// next reads one answer; nothing may follow it.
func (a *answers) next(want int) error {
	n, end := 0, -1
	for end < 0 {
		m, err := a.c.Read(a.buf[n:])
		if err != nil {
			return err
		}
		n += m
		end = bytes.Index(a.buf[:n], headEnd)
	}
	head := a.buf[:end+len(headEnd)]
	if len(head) < 13 {
		return fmt.Errorf("answer begins with %q", head)
	}
	if status, _ := strconv.Atoi(string(head[9:12])); want != 0 && status != want {
		return fmt.Errorf("status %d, want %d", status, want)
	}
	length, err := lengthIn(head)
	if err != nil {
		return err
	}
	for n < len(head)+length {
		m, err := a.c.Read(a.buf[n:])
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}

// lengthIn returns the value of Content-Length.
func lengthIn(head []byte) (int, error) {
	for rest := head; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return 0, errors.New("answer without Content-Length")
		}
		rest = rest[i+1:]
		if len(rest) > len(contentLength) && rest[0]|0x20 == 'c' && bytes.EqualFold(rest[:len(contentLength)], contentLength) {
			rest = rest[len(contentLength):]
			return strconv.Atoi(string(rest[:bytes.IndexByte(rest, '\r')]))
		}
	}
}
