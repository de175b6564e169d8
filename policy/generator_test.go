package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A generator makes random definitions and requests of few different words, so
// that they meet, with colons and the like in them, so that they may be confused.
type generator struct{ *rand.Rand }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) word() string    { return pick(g, "a", "b", "a:b", "b:a", "", "$userId", "a_b") }
func (g generator) tier() string    { return pick(g, "A", "B", "A:1", "Unlimited", "", "Nowhere") }
func (g generator) context() string { return pick(g, "/a", "/a/1", "/a:1", "/") }
func (g generator) user() string    { return pick(g, "alice", "bob", "a:b", "anonymous", "alice:1") }

func (g generator) address() netip.Addr {
	return netip.MustParseAddr(pick(g, "10.1.2.3", "10.1.2.4", "10.2.0.0", "::ffff:10.1.2.3",
		"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1%eth0", "255.255.255.255", "::"))
}

func (g generator) limit() *limiter.Limit {
	return &limiter.Limit{
		Count: g.Int64N(100), Window: limiter.Window{Length: time.Duration(1+g.IntN(3)) * time.Minute},
		Cost:      pick(g, limiter.Requests, limiter.Requests, limiter.Bytes, limiter.Events),
		Algorithm: pick(g, limiter.FixedWindow, limiter.FixedWindow, limiter.TokenBucket),
		Shadow:    g.IntN(8) == 0,
	}
}

func (g generator) maybeLimit() *limiter.Limit {
	if g.IntN(5) == 0 {
		return nil
	}
	return g.limit()
}

func (g generator) ip() IPCondition {
	if g.IntN(2) == 0 {
		return IPCondition{Prefix: g.prefix()}
	}
	a, b := g.address().Unmap().WithZone(""), g.address().Unmap().WithZone("")
	if a.Is4() != b.Is4() {
		b = a
	}
	if b.Less(a) {
		a, b = b, a
	}
	return IPCondition{From: a, To: b}
}

func (g generator) prefix() netip.Prefix {
	a := g.address().Unmap().WithZone("")
	return netip.PrefixFrom(a, pick(g, 8, 16, 31, 32, a.BitLen()))
}

func (g generator) condition() Condition {
	c := Condition{Invert: g.IntN(3) == 0}
	v := &ValueCondition{Name: pick(g, "x", "y"), Pattern: pick(g, "", "^a", "b$", "^a$", "a.b", "[ab]", "(?i)A", "^$")}
	switch g.IntN(4) {
	case 0:
		ip := g.ip()
		c.IP = &ip
	case 1:
		c.Header = v
	case 2:
		c.Query = v
	case 3:
		c.Claim = v
	}
	return c
}

func (g generator) definition() Definition {
	var d Definition
	for _, name := range []string{"A", "B", "A:1"} {
		p := Policy{Kind: Advanced, Name: name, Limit: g.maybeLimit(), Per: pick(g, PerDefault, PerUser)}
		for range g.IntN(3) {
			group := Group{Limit: g.maybeLimit()}
			for range 1 + g.IntN(2) {
				group.Conditions = append(group.Conditions, g.condition())
			}
			p.Groups = append(p.Groups, group)
		}
		d.Policies = append(d.Policies, p,
			Policy{Kind: Subscription, Name: name, Limit: g.maybeLimit(), Burst: g.maybeLimit(), PassOnQuotaReach: g.IntN(3) == 0},
			Policy{Kind: Application, Name: name, Limit: g.maybeLimit(), Burst: g.maybeLimit(), Per: pick(g, PerDefault, PerUser, PerApplication, PerToken)})
	}
	for i := range g.IntN(4) {
		d.Rules = append(d.Rules, CustomRule{
			Name: fmt.Sprint("rule", i), When: pick(g, "", "fail", "user=alice", "user=bob"), Limit: *g.limit(),
			Key: pick(g, "$userId", "$userId:$apiContext", "$apiContext:$userId", "$appId/$clientIp", "$header.x$query.x",
				"$query.x$header.x", "$resourceKey", "all", "$claim.x$keyType", "$appId:$userId"),
		})
	}
	for i := range g.IntN(6) {
		x := Deny{ID: fmt.Sprint(i), Kind: DenyKind(g.IntN(5)), Off: g.IntN(3) == 0}
		switch x.Kind {
		case DenyAPI:
			x.Value = g.context()
		case DenyApplication:
			x.Value = pick(g, "a:b", "a:a:b", "b:a", "a:b:a:b", "c:c")
		case DenyUser:
			x.Value = g.user()
		case DenyIP:
			x.IP = IPCondition{Prefix: g.prefix()}
		case DenyIPRange:
			for x.IP = g.ip(); x.IP.Prefix.IsValid(); {
				x.IP = g.ip()
			}
		}
		x.Invert = x.Kind >= DenyIP && g.IntN(8) == 0
		d.Denies = append(d.Denies, x)
	}
	for _, context := range []string{"/a", "/a:1"} {
		for _, version := range []string{"1", "1:1"} {
			if g.IntN(2) == 0 {
				d.Backends = append(d.Backends, Backend{context, version, g.maybeLimit(), g.maybeLimit()})
			}
		}
	}
	return d
}

func (g generator) values() weir.Values {
	if g.IntN(4) == 0 {
		return nil
	}
	v := values{}
	for _, name := range []string{"x", "y"} {
		if g.IntN(3) > 0 {
			v[name] = g.word()
		}
	}
	return v
}

func (g generator) request() *weir.Request {
	req := &weir.Request{
		Version: pick(g, "1", "1:1", ""), Context: g.context(), Resource: pick(g, "/", "/a", "/a:1"), Verb: pick(g, "GET", "PUT"),
		APITier: g.tier(), ResourceTier: g.tier(), SubscriptionTier: g.tier(),
		Application: weir.Application{ID: g.word(), Name: g.word(), Owner: g.word(), Tier: g.tier()},
		User:        g.user(), Token: g.word(), KeyType: weir.KeyType(g.IntN(2)),
		Headers: g.values(), Query: g.values(), Claims: g.values(),
		Bytes: g.Int64N(10) - 1, Weight: g.Int64N(4) - 1,
	}
	req.ClientIP = g.address()
	if g.IntN(6) == 0 {
		req.Application = weir.Application{ID: req.ClientIP.String()}
		req.User = "anonymous"
	}
	return req
}
