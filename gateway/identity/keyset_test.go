package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A fakeIDP answers requests for keys in a bubble of virtual time.
type fakeIDP struct {
	mu    sync.Mutex
	body  []byte
	err   error
	delay time.Duration
	asked []time.Time
}

func (f *fakeIDP) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	body, err, delay := f.body, f.err, f.delay
	f.asked = append(f.asked, time.Now())
	f.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func (f *fakeIDP) set(body []byte, err error, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.body, f.err, f.delay = body, err, delay
}

// times returns when keys were asked for, and forgets it.
func (f *fakeIDP) times() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

// run runs a verifier of keys behind the fake in a bubble, until test returns.
func (f *fakeIDP) run(t *testing.T, test func(v *Verifier, reports func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex
			said []string
		)
		v, err := NewVerifier(VerifierOptions{
			Issuers:   []Issuer{{Name: testIssuer, JWKSURL: "https://idp.example/jwks"}},
			Transport: f,
			Report: func(issuer string, err error) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, issuer+": "+err.Error())
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { v.Run(ctx) })
		synctest.Wait()
		test(v, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return said
		})
		stop()
		wg.Wait()
	})
}

// tokenAt returns a token that holds for a day from now, signed with the P-256
// key under kid.
func tokenAt(now time.Time, kid string) string {
	return sign(jwt.SigningMethodES256, privateKeys().p256, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid),
		fmt.Sprintf(`{"iss":%q,"exp":%d}`, testIssuer, now.Unix()+86400))
}

func esSet(kids ...string) []byte {
	var keys []map[string]any
	for _, kid := range kids {
		keys = append(keys, jwkOf(kid, "", &privateKeys().p256.PublicKey))
	}
	return jwks(keys...)
}

func TestKeySetRefreshes(t *testing.T) {
	privateKeys()
	f := &fakeIDP{body: esSet("a")}
	f.run(t, func(v *Verifier, reports func() []string) {
		if !v.Ready() {
			t.Error("not ready after the first fetch")
		}
		time.Sleep(time.Hour)
		asked := f.times()
		if len(asked) < 11 || len(asked) > 15 {
			t.Errorf("keys were asked for %d times in an hour, want about 13", len(asked))
		}
		spread := make(map[time.Duration]bool)
		for i := 1; i < len(asked); i++ {
			d := asked[i].Sub(asked[i-1])
			if spread[d] = true; d < 270*time.Second || d > 330*time.Second {
				t.Errorf("pause %d is %v, want 5 minutes and at most a tenth more or less", i, d)
			}
		}
		if len(spread) < 3 {
			t.Errorf("pauses are not spread: %v", spread)
		}
		if got := reports(); len(got) != 0 {
			t.Errorf("reports: %v", got)
		}
	})
}

// When keys change, a token with the new key waits for the fetch that it causes
// and passes; nobody is turned away.
func TestKeySetUnknownKid(t *testing.T) {
	privateKeys()
	f := &fakeIDP{body: esSet("a"), delay: 200 * time.Millisecond}
	f.run(t, func(v *Verifier, _ func() []string) {
		time.Sleep(time.Minute)
		f.set(esSet("a", "b"), nil, 200*time.Millisecond)
		f.times()
		text := tokenAt(time.Now(), "b")
		start := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := v.Verify(time.Now(), text); err != nil {
					t.Errorf("token with a new key: %v", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("took %v, want one fetch", took)
		}
		if n := len(f.times()); n != 1 {
			t.Errorf("%d fetches, want one for all", n)
		}
	})
}

// Whatever kids are made up, keys are fetched once in 30 seconds, and nobody
// waits between.
func TestKeySetKidFlood(t *testing.T) {
	privateKeys()
	f := &fakeIDP{body: esSet("a")}
	f.run(t, func(v *Verifier, _ func() []string) {
		time.Sleep(time.Minute)
		f.times()
		start := time.Now()
		for i := range 1000 {
			if _, err := v.Verify(time.Now(), tokenAt(start, fmt.Sprint("no", i))); KindOf(err) != Invalid {
				t.Fatalf("made up kid: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); took != 100*time.Second {
			t.Errorf("took %v, so some waited", took)
		}
		asked := f.times()
		if len(asked) < 3 || len(asked) > 5 {
			t.Errorf("%d fetches in 100 s, want one in 30", len(asked))
		}
		for i := 1; i < len(asked); i++ {
			if d := asked[i].Sub(asked[i-1]); d < refetchAfter {
				t.Errorf("fetch %d came %v after the one before", i, d)
			}
		}
	})
}

// A slow issuer keeps a request waiting for a second at most.
func TestKeySetSlow(t *testing.T) {
	privateKeys()
	f := &fakeIDP{body: esSet("a")}
	f.run(t, func(v *Verifier, _ func() []string) {
		time.Sleep(time.Minute)
		f.set(nil, nil, time.Hour)
		start := time.Now()
		if _, err := v.Verify(start, tokenAt(start, "b")); KindOf(err) != Invalid {
			t.Errorf("unknown key: %v", err)
		}
		if took := time.Since(start); took != refetchWait {
			t.Errorf("took %v, want %v", took, refetchWait)
		}
		if _, err := v.Verify(time.Now(), tokenAt(start, "a")); err != nil || time.Since(start) != refetchWait {
			t.Errorf("a known key meanwhile: %v after %v", err, time.Since(start))
		}
		time.Sleep(fetchTimeout) // given up
		if _, err := v.Verify(time.Now(), tokenAt(start, "b")); KindOf(err) != Invalid {
			t.Errorf("unknown key, later: %v", err)
		}
	})
}

// While the issuer is away its keys stay, and it is asked with growing pauses.
func TestKeySetOutage(t *testing.T) {
	privateKeys()
	f := &fakeIDP{body: esSet("a")}
	f.run(t, func(v *Verifier, reports func() []string) {
		f.set(nil, errors.New("connection refused"), 0)
		time.Sleep(6 * time.Minute)
		f.times()
		time.Sleep(10 * time.Hour)
		if n := len(f.times()); n < 500 || n > 1300 {
			t.Errorf("%d fetches in 10 hours, want one in 30 to 60 s", n)
		}
		if _, err := v.Verify(time.Now(), tokenAt(time.Now(), "a")); err != nil {
			t.Errorf("a token while the issuer is away: %v", err)
		}
		if got := reports(); len(got) != 1 || !strings.Contains(got[0], "connection refused") {
			t.Errorf("reports: %q, want one", got)
		}
		for _, bad := range [][]byte{[]byte("<html>"), jwks(), make([]byte, maxKeySet+1)} {
			f.set(bad, nil, 0)
			time.Sleep(2 * time.Minute)
			if _, err := v.Verify(time.Now(), tokenAt(time.Now(), "a")); err != nil {
				t.Errorf("a token while the issuer answers %.10q: %v", bad, err)
			}
		}
		f.set(esSet("b"), nil, 0)
		time.Sleep(2 * time.Minute)
		if _, err := v.Verify(time.Now(), tokenAt(time.Now(), "b")); err != nil {
			t.Errorf("a token with a new key after it: %v", err)
		}
		if got := reports(); len(got) != 4 {
			t.Errorf("reports: %q, want one of each failure", got)
		}
	})
}

// Until the first keys came, nobody is told that a token is wrong.
func TestKeySetNeverLoaded(t *testing.T) {
	privateKeys()
	f := &fakeIDP{err: errors.New("connection refused")}
	f.run(t, func(v *Verifier, _ func() []string) {
		if _, err := v.Verify(time.Now(), tokenAt(time.Now(), "a")); KindOf(err) != Unavailable || v.Ready() {
			t.Errorf("before there are keys: %v, ready %v", err, v.Ready())
		}
		f.set(esSet("a"), nil, 0)
		time.Sleep(2 * time.Minute)
		if _, err := v.Verify(time.Now(), tokenAt(time.Now(), "a")); err != nil || !v.Ready() {
			t.Errorf("after: %v, ready %v", err, v.Ready())
		}
	})
}

// A token that was verified with a key that is gone is not believed any more.
func TestKeySetRemoval(t *testing.T) {
	privateKeys()
	f := &fakeIDP{body: esSet("a", "b")}
	f.run(t, func(v *Verifier, _ func() []string) {
		a, b := tokenAt(time.Now(), "a"), tokenAt(time.Now(), "b")
		for _, text := range []string{a, b} {
			if _, err := v.Verify(time.Now(), text); err != nil {
				t.Fatal(err)
			}
		}
		f.set(esSet("b"), nil, 0)
		time.Sleep(6 * time.Minute)
		if _, err := v.Verify(time.Now(), a); KindOf(err) != Invalid {
			t.Errorf("token of a key that is gone: %v", err)
		}
		if n := testing.AllocsPerRun(10, func() { v.Verify(time.Now(), b) }); n != 0 {
			t.Errorf("token of a key that stayed was forgotten: %v allocations", n)
		}
	})
}

// Without Run, nothing waits; Load does what Run would.
func TestKeySetWithoutRun(t *testing.T) {
	privateKeys()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIDP{body: esSet("a")}
		v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: testIssuer, JWKSURL: "https://idp.example/jwks"}}, Transport: f})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := v.Verify(start, tokenAt(start, "a")); KindOf(err) != Unavailable {
			t.Errorf("before Load: %v", err)
		}
		if err := v.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(start, tokenAt(start, "a")); err != nil {
			t.Errorf("after Load: %v", err)
		}
		f.set(nil, errors.New("gone"), 0)
		if err := v.Load(t.Context()); err == nil || !strings.Contains(err.Error(), testIssuer) {
			t.Errorf("Load of what is gone: %v", err)
		}
		if _, err := v.Verify(start, tokenAt(start, "b")); KindOf(err) != Invalid || time.Since(start) != 0 {
			t.Errorf("unknown key: %v after %v", err, time.Since(start))
		}
	})
}

// A file that changes is read again; one that breaks changes nothing.
func TestKeySetFile(t *testing.T) {
	privateKeys()
	path := writeFile(t, "jwks.json", esSet("a"))
	synctest.Test(t, func(t *testing.T) {
		v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: testIssuer, JWKSFile: path}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { v.Run(ctx) })
		for _, step := range []struct {
			data string
			kids map[string]Kind
		}{
			{string(esSet("a", "b")), map[string]Kind{"a": 0, "b": 0}},
			{"{", map[string]Kind{"a": 0, "b": 0}},
			{"", map[string]Kind{"a": 0, "b": 0}},
			{string(esSet("b")), map[string]Kind{"a": Invalid, "b": 0}},
		} {
			if err := os.WriteFile(path, []byte(step.data), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * fileInterval)
			for kid, want := range step.kids {
				if _, err := v.Verify(time.Now(), tokenAt(time.Now(), kid)); KindOf(err) != want {
					t.Errorf("file %.20q: kid %s: %v, want %v", step.data, kid, err, want)
				}
			}
		}
		stop()
		wg.Wait()
	})
}
