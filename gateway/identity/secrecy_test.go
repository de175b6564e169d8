package identity

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-project/weir"
)

// params is a query: fields whose names match exactly.
type params []string

func (p params) Each(name string, yield func(string) bool) {
	for _, line := range p {
		if n, v, _ := strings.Cut(line, ": "); n == name && !yield(v) {
			return
		}
	}
}

func (p params) Value(name string) (value string, ok bool) {
	p.Each(name, func(v string) bool { value, ok = v, true; return false })
	return value, ok
}

// shows reports whether text holds a part of a secret that is long enough to
// be of use.
func shows(text, secret string) bool {
	const enough = 12
	for i := 0; i+enough <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+enough]) {
			return true
		}
	}
	return false
}

// Neither an error nor anything that is handed on shows a credential.
func TestNothingShowsCredentials(t *testing.T) {
	key, hash := NewKey()
	wrong, _ := NewKey()
	d := newTestDirectory(t, Application{ID: "1", Keys: []Key{{Hash: hash}}, Clients: []Client{{ID: "c"}}})
	a := NewAuthenticator(AuthenticatorOptions{Verifier: newTestVerifier(t, nil)})
	good := goodToken(`"azp":"c"`)
	for name, text := range map[string]string{
		"key":                   key,
		"unknown key":           wrong,
		"mistyped key":          key[:50] + "0000",
		"longer key":            key + key,
		"token":                 good,
		"token of nobody":       goodToken(`"azp":"nobody-at-all-here"`),
		"forged token":          good[:len(good)-9] + "AAAAAAAAA",
		"token that is cut":     good[:len(good)/2],
		"token of another kind": goodToken(`"keytype":"whatever-it-may-be"`),
		"password":              "correct-horse-battery-staple",
	} {
		p, err := a.Authenticate(t0, d, Credential{Text: text}, netip.MustParseAddr("192.0.2.1"), fields(nil))
		if err != nil && shows(err.Error(), text) {
			t.Errorf("%s: the error shows it: %v", name, err)
		}
		p.Claims = nil // claims are for policies; they are part of the token
		if shown := fmt.Sprintf("%+v", p); shows(shown, text) {
			t.Errorf("%s: the principal shows it: %s", name, shown)
		}
		if strings.Contains(p.Token, strings.TrimPrefix(hash, hashScheme)) {
			t.Errorf("%s: the token's name shows the stored hash", name)
		}
	}
}

// Wherever credentials stand in a request, exactly one is found or it is
// refused, and what is found tells where it is to be taken from.
func TestFindIsUnambiguous(t *testing.T) {
	a := NewAuthenticator(AuthenticatorOptions{})
	random := rand.New(rand.NewPCG(5, 6))
	places := []string{"ApiKey: k1", "apikey: k2", "Authorization: Bearer t1", "authorization: bearer t2", "Authorization: Basic eA==", "Accept: */*", "X-Other: Bearer t3"}
	queries := []string{"ApiKey: q1", "ApiKey: q2", "apikey: q3", "limit: 10"}
	for range 2000 {
		var headers fields
		var query params
		credentials, authorizations, bearers := 0, 0, 0
		for _, p := range places {
			if random.IntN(4) > 0 {
				continue
			}
			headers = append(headers, p)
			switch lower := strings.ToLower(p); {
			case strings.HasPrefix(lower, "apikey"):
				credentials++
			case strings.HasPrefix(lower, "authorization"):
				authorizations++
				if strings.Contains(lower, "bearer") {
					bearers++
				}
			}
		}
		for _, p := range queries {
			if random.IntN(4) == 0 {
				query = append(query, p)
				if strings.HasPrefix(p, "ApiKey") || strings.HasPrefix(p, "apikey") {
					credentials++
				}
			}
		}
		random.Shuffle(len(headers), func(i, j int) { headers[i], headers[j] = headers[j], headers[i] })
		if authorizations > 1 || bearers == 1 {
			credentials += authorizations
		}
		c, err := a.Find(headers, query, "")
		switch {
		case credentials == 0 && !errors.Is(err, errNone),
			credentials == 1 && err != nil,
			credentials > 1 && !errors.Is(err, errTwo):
			t.Fatalf("%q, %q with %d credentials: %+v, %v", headers, query, credentials, c, err)
		case err == nil && (c.Header == "") == (c.Param == ""):
			t.Fatalf("%q, %q: %+v stands in no place or in two", headers, query, c)
		}
	}
}

// slowClientIP says what ClientIP says, by splitting everything up.
func slowClientIP(trusted func(netip.Addr) bool, peer netip.Addr, lines []string) netip.Addr {
	if !trusted(peer) {
		return peer
	}
	elements := strings.Split(strings.Join(lines, ","), ",")
	slices.Reverse(elements)
	last := peer
	for i, element := range elements {
		element = strings.TrimSpace(element)
		switch {
		case i >= maxHops:
			return last
		case element == "":
			continue
		}
		addr, err := netip.ParseAddr(element)
		if err != nil {
			withPort, err := netip.ParseAddrPort(element)
			if err != nil {
				return last
			}
			addr = withPort.Addr()
		}
		if last = addr.Unmap().WithZone(""); !trusted(last) {
			return last
		}
	}
	return last
}

func TestClientIPAgainstSplit(t *testing.T) {
	p := newTestProxies(t, "10.0.0.0/8", "fd00::/8")
	random := rand.New(rand.NewPCG(7, 8))
	texts := []string{"10.0.0.2", "10.9.9.9:80", "[fd00::1]:443", "fd00::2", "::ffff:10.0.0.3", "", " ", "1.2.3.4", "2001:db8::1", "[2001:db8::2]:1", "5.6.7.8:9", "unknown", "x"}
	for range 5000 {
		var lines []string
		for range random.IntN(4) {
			var line []string
			for range random.IntN(6) {
				n := len(texts)
				if random.IntN(3) > 0 {
					n = 7 // only proxies and blanks, so that some ways are long
				}
				line = append(line, strings.Repeat(" ", random.IntN(2))+texts[random.IntN(n)])
			}
			lines = append(lines, strings.Join(line, ","))
		}
		peer := netip.MustParseAddr([]string{"10.0.0.1", "fd00::9", "192.0.2.1"}[random.IntN(3)])
		want := slowClientIP(p.Trusts, peer, lines)
		if got := p.ClientIP(peer, xff(lines...)); got != want {
			t.Fatalf("from %v with %q: %v, want %v", peer, lines, got, want)
		}
	}
}

// A directory is replaced while it is used: who holds the old one sees nothing
// of the new one, and nothing is half of each.
func TestDirectoryReplaced(t *testing.T) {
	key, hash := NewKey()
	var current atomic.Pointer[Directory]
	replace := func(n int) {
		name := fmt.Sprint("generation ", n)
		current.Store(newTestDirectory(t, Application{
			ID: "1", Name: name, Owner: name, Tier: name,
			Keys: []Key{{weir.Production, hash}}, Subscriptions: []Subscription{{"Pizza", "1", name}},
		}))
	}
	replace(0)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 2000 {
				p, err := current.Load().APIKey(key)
				tier, ok := p.Subscription("Pizza", "1")
				if err != nil || !ok || tier != p.Application.Name || p.User != tier {
					t.Errorf("%+v, %q, %v", p.Application, tier, err)
					return
				}
			}
		})
	}
	for n := range 200 {
		replace(n)
	}
	wg.Wait()
	// A key that is taken away is refused from the next request on.
	current.Store(newTestDirectory(t, Application{ID: "1"}))
	if _, err := current.Load().APIKey(key); KindOf(err) != Invalid {
		t.Errorf("a key that was taken away: %v", err)
	}
}

// No two addresses that may belong to different people are one caller, and no
// two of one IPv6 network are two.
func TestAppendClientKeepsApart(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	owner := make(map[string]string)
	for range 20_000 {
		var addr netip.Addr
		var who string
		if random.IntN(2) == 0 {
			b := [4]byte{192, 0, byte(random.IntN(4)), byte(random.IntN(256))}
			addr, who = netip.AddrFrom4(b), fmt.Sprint("v4 ", b)
			if random.IntN(2) == 0 {
				addr = netip.AddrFrom16(addr.As16())
			}
		} else {
			b := [16]byte{0x20, 1, 0xd, 0xb8, 7: byte(random.IntN(64)), 8: byte(random.IntN(256)), 15: byte(random.IntN(256))}
			addr, who = netip.AddrFrom16(b), fmt.Sprint("v6 ", b[:8])
		}
		text := string(AppendClient(nil, addr))
		if before, ok := owner[text]; ok && before != who {
			t.Fatalf("%v and %v are both %q", before, who, text)
		}
		owner[text] = who
	}
	if want := 4*256 + 64; len(owner) > want {
		t.Errorf("%d callers, want at most %d", len(owner), want)
	}
}
