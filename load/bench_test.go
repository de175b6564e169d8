package load

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// BenchmarkRequest is what a request costs on two cores with a server that does
// next to nothing, 64 connections, as fast as it goes: by this package and by
// net/http's client.
func BenchmarkRequest(b *testing.B) {
	answer := []byte(fineAnswer)
	f := newFake(b, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
	b.Run("load", func(b *testing.B) {
		r := run(b, Options{Targets: []string{f.url}, Duration: time.Second, Header: []Field{{"ApiKey", "k"}}})
		b.ReportMetric(float64(r.Total.Admitted), "requests/s")
	})
	b.Run("open", func(b *testing.B) {
		r := run(b, Options{Targets: []string{f.url}, Duration: time.Second, Rate: 20_000})
		b.ReportMetric(float64(r.Total.Admitted), "requests/s")
		b.ReportMetric(float64(r.Late), "late")
	})
	b.Run("net/http", func(b *testing.B) {
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		defer transport.CloseIdleConnections()
		var group sync.WaitGroup
		var mu sync.Mutex
		total, end := 0, time.Now().Add(time.Second)
		for range 64 {
			group.Go(func() {
				n := 0
				for ; time.Now().Before(end); n++ {
					if err := get(transport, f.url); err != nil {
						b.Error(err)
						return
					}
				}
				mu.Lock()
				defer mu.Unlock()
				total += n
			})
		}
		group.Wait()
		b.ReportMetric(float64(total), "requests/s")
	})
}

func get(transport *http.Transport, url string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}
