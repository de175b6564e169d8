package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/policy"
)

// A retriever asks internal data APIs for deny policies and key templates: at the
// start, when the topic is heard again or tells of a change, and now and then.
type retriever struct {
	sources []config.DataSource
	client  *http.Client
	into    *directives
	log     *slog.Logger
	asked   []chan struct{} // to be asked again; each holds one
}

// newRetriever returns a retriever that tells into what it hears.
func newRetriever(u *config.Uplink, c *tls.Config, into *directives, log *slog.Logger) *retriever {
	r := &retriever{sources: u.Data, into: into, log: log, client: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
			DialTLSContext:      dialTLS(c),
			TLSHandshakeTimeout: 2 * time.Second,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     time.Minute,
		},
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for range u.Data {
		r.asked = append(r.asked, make(chan struct{}, 1))
	}
	return r
}

// dialTLS connects by c; machines on loopback are not verified if c names nobody who
// could vouch for them.
func dialTLS(c *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		own := c.Clone()
		own.ServerName, _, _ = net.SplitHostPort(address)
		own.InsecureSkipVerify = own.RootCAs == nil && isLoopback(own.ServerName)
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second}, Config: own}
		return d.DialContext(ctx, network, address)
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}

// ask has all sources asked again.
func (r *retriever) ask() {
	for _, c := range r.asked {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

const (
	// askEvery is how often sources are asked that nobody says to ask.
	askEvery = time.Minute
	// A source that fails is asked again after a while between these.
	firstRetry, lastRetry = 250 * time.Millisecond, 10 * time.Second
)

// run asks until ctx is done.
func (r *retriever) run(ctx context.Context) error {
	var all sync.WaitGroup
	for i := range r.sources {
		all.Go(func() { r.follow(ctx, i) })
	}
	all.Wait()
	r.client.CloseIdleConnections()
	return nil
}

// follow asks one source again and again.
func (r *retriever) follow(ctx context.Context, i int) {
	log := r.log.With("url", r.sources[i].URL)
	failed := 0
	for {
		s, err := r.retrieve(ctx, &r.sources[i])
		wait := askEvery + rand.N(askEvery/4)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failed == 0 {
				log.Warn("deny policies and key templates not available; those that are known stay in force", "error", oneLine(err))
			}
			wait = min(firstRetry<<min(failed, 10), lastRetry)
			wait = wait/2 + rand.N(wait)
			failed++
		default:
			if failed > 0 {
				log.Info("deny policies and key templates available", "denies", len(s.denies), "key_templates", len(s.templates))
			}
			failed = 0
			r.into.answered(i, s)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.asked[i]:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// retrieve asks a source for all it has.
func (r *retriever) retrieve(ctx context.Context, s *config.DataSource) (said, error) {
	out := said{asked: time.Now()}
	var b blocks
	if err := r.get(ctx, s, "/block", &b); err != nil {
		return out, err
	}
	if err := r.get(ctx, s, "/keyTemplates", &out.templates); err != nil {
		return out, err
	}
	var wrong int
	if out.denies, wrong = b.policies(); wrong > 0 {
		r.log.Warn("deny policies that can't be enforced are left out", "url", s.URL, "policies", wrong)
	}
	good := out.templates[:0]
	for _, t := range out.templates {
		if _, err := policy.ParseKeyTemplate(t, 0); err != nil {
			r.log.Warn("key template that can't be used is left out", "url", s.URL, "error", oneLine(err))
			continue
		}
		good = append(good, t)
	}
	out.templates = good
	return out, nil
}

// maxData is how large an answer may be.
const maxData = 16 << 20

// get asks for one thing.
func (r *retriever) get(ctx context.Context, s *config.DataSource, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(s.Login.User, string(s.Login.Password))
	req.Header.Set("Accept", "application/json")
	req.Header.Set("xWSO2Tenant", "ALL")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("GET %s: %s: wrong user or password", path, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxData+1))
	switch {
	case err != nil:
		return fmt.Errorf("GET %s: %w", path, err)
	case len(text) > maxData:
		return fmt.Errorf("GET %s: the answer is larger than %d MiB", path, maxData>>20)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("GET %s: the answer is not as it should be: %w", path, err)
	}
	return nil
}
