package identity

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refetchAfter is the least time between a fetch and one that an unknown
	// kid asks for. Anybody can send those.
	refetchAfter = 30 * time.Second
	// refetchWait is how long a request waits for such a fetch.
	refetchWait = time.Second
	// fileInterval is how often files are looked at.
	fileInterval = 5 * time.Second
	// retryFirst and retryMost bound the pauses after failures.
	retryFirst = time.Second
	retryMost  = 30 * time.Second
)

// A keySet is the keys of one issuer, kept up to date by run. While their
// source is down, or holds no valid set, the last good keys stay.
type keySet struct {
	issuer *Issuer
	source keySource
	ring   atomic.Pointer[keyring] // nil until the first load
	asked  chan struct{}           // wakes run; holds one

	loading sync.Mutex // held by load
	last    []byte     // what the ring was made of; loading guards it

	mu      sync.Mutex
	running bool
	fetched time.Time     // when the last fetch began
	pending chan struct{} // closed when the fetch that was begun or asked for has ended; nil if none
}

func newKeySet(issuer *Issuer, source keySource) *keySet {
	return &keySet{issuer: issuer, source: source, asked: make(chan struct{}, 1)}
}

// load reads the source once and, if it holds a good set, takes it.
func (s *keySet) load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	data, err := s.source.read(ctx)
	if err != nil {
		return err
	}
	if s.ring.Load() != nil && bytes.Equal(data, s.last) {
		return nil
	}
	keys, err := parseKeys(data, s.issuer)
	if err != nil {
		return err
	}
	s.ring.Store(s.ring.Load().next(keys))
	s.last = data
	return nil
}

// run loads the keys again and again until ctx is done. Failures go to report,
// each series of the same failure once.
func (s *keySet) run(ctx context.Context, report func(error)) {
	s.setRunning(true)
	defer s.setRunning(false)
	retry, said := retryFirst, ""
	for {
		s.begin(time.Now())
		err := s.load(ctx)
		s.end()
		if ctx.Err() != nil {
			return
		}
		wait := s.interval()
		if err != nil {
			wait = min(wait, retry+rand.N(retry))
			retry = min(2*retry, retryMost)
			if err.Error() != said {
				report(err)
				said = err.Error()
			}
		} else {
			retry, said = retryFirst, ""
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.asked:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// interval returns the time to the next regular fetch. Those of URLs are spread
// by a tenth each way, so that many gateways do not ask at once.
func (s *keySet) interval() time.Duration {
	if s.issuer.JWKSFile != "" {
		return fileInterval
	}
	d := s.issuer.Refresh
	if d == 0 {
		d = defaultRefresh
	}
	return d - d/10 + rand.N(max(d/5, 1))
}

func (s *keySet) setRunning(running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
	if !running && s.pending != nil {
		close(s.pending)
		s.pending = nil
	}
}

// begin notes that a fetch begins.
func (s *keySet) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched = now
	if s.pending == nil {
		s.pending = make(chan struct{})
	}
}

// end notes that it has ended.
func (s *keySet) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		close(s.pending)
		s.pending = nil
	}
}

// ask asks for a fetch because of an unknown kid, unless there was one lately,
// and returns what is closed when it has ended; nil if there is nothing to wait
// for. All who ask at the same time wait for the same fetch.
func (s *keySet) ask(now time.Time) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		return s.pending
	}
	if !s.running || now.Sub(s.fetched) < refetchAfter {
		return nil
	}
	s.pending = make(chan struct{})
	select {
	case s.asked <- struct{}{}:
	default:
	}
	return s.pending
}

// find returns the keys that may have signed a token with that kid and
// algorithm. For an unknown kid it waits a moment for new keys, if some are
// being fetched or may be.
func (s *keySet) find(now time.Time, kid, alg string) ([]*publicKey, *Error) {
	keys, unknown, err := s.lookup(kid, alg)
	if len(keys) > 0 || !unknown {
		return keys, err
	}
	done := s.ask(now)
	if done == nil {
		return nil, err
	}
	timer := time.NewTimer(refetchWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	keys, _, err = s.lookup(kid, alg)
	return keys, err
}

// lookup finds keys among those that are there.
func (s *keySet) lookup(kid, alg string) (keys []*publicKey, unknown bool, err *Error) {
	ring := s.ring.Load()
	if ring == nil {
		return nil, true, errNoKeys
	}
	keys, unknown = ring.find(kid, alg)
	switch {
	case unknown:
		return nil, true, errUnknownKey
	case len(keys) == 0:
		return nil, false, errKeyAlgorithm
	case len(keys) > maxTried:
		return nil, false, errManyKeys
	}
	return keys, false, nil
}

var (
	errNoKeys       = &Error{Unavailable, "the issuer's keys were not fetched yet"}
	errUnknownKey   = invalid("token is signed with a key that the issuer does not have")
	errKeyAlgorithm = invalid("token is signed with an algorithm that is not the key's")
	errManyKeys     = invalid("token does not say with which of the issuer's many keys it is signed")
)
