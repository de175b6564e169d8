package main

import (
	"bufio"
	"bytes"
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
	r := bufio.NewReaderSize(c, 8192)
	for n := int64(0); ; n++ {
		if n%16 == 0 && time.Now().After(deadline) {
			return n, nil
		}
		if _, err := c.Write(request); err != nil {
			return n, err
		}
		if err := readAnswer(r, want); err != nil {
			return n, err
		}
	}
}

var contentLength = []byte("content-length:")

func readAnswer(r *bufio.Reader, want int) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 {
		return fmt.Errorf("answer begins with %q", line)
	}
	if status, _ := strconv.Atoi(string(line[9:12])); want != 0 && status != want {
		return fmt.Errorf("status %d, want %d", status, want)
	}
	length := 0
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			_, err = r.Discard(length)
			return err
		}
		if len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return err
			}
		}
	}
}
