package project

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// listOf returns up to three values, nil for none.
func listOf[T any](one *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.Custom(func(t *rapid.T) []T {
		var all []T
		for i := range rapid.IntRange(0, 3).Draw(t, "n") {
			all = append(all, one.Draw(t, fmt.Sprint(i)))
		}
		return all
	})
}

// maybe returns a pointer to a value, or nil.
func maybe[T any](one *rapid.Generator[T]) *rapid.Generator[*T] {
	return rapid.Custom(func(t *rapid.T) *T {
		if !rapid.Bool().Draw(t, "there") {
			return nil
		}
		v := one.Draw(t, "value")
		return &v
	})
}

func upTo[T ~uint8](most T) *rapid.Generator[T] {
	return rapid.Map(rapid.Uint8Range(0, uint8(most)), func(n uint8) T { return T(n) })
}

var anyLimit = rapid.Custom(func(t *rapid.T) limiter.Limit {
	l := limiter.Limit{
		Count: rapid.Int64().Draw(t, "count"), Cost: upTo(limiter.Events).Draw(t, "cost"), Algorithm: upTo(limiter.TokenBucket).Draw(t, "algorithm"),
		Burst: rapid.Int64().Draw(t, "burst"), Accuracy: rapid.SampledFrom([]limiter.Accuracy{limiter.Eventual, limiter.Bounded, limiter.Exact, policy.ByLevel}).Draw(t, "accuracy"),
		OnStoreLoss: upTo(limiter.Open).Draw(t, "loss"), Shadow: rapid.Bool().Draw(t, "shadow"),
	}
	if l.Window.Calendar = upTo(limiter.Year).Draw(t, "calendar"); l.Window.Calendar == limiter.NoCalendar {
		l.Window.Length = time.Duration(rapid.Int64().Draw(t, "length"))
		return l
	}
	l.Window.Every = rapid.IntRange(0, 20).Draw(t, "every")
	l.Window.Location, _ = loadLocation(rapid.SampledFrom([]string{"", "Europe/Berlin", "America/New_York"}).Draw(t, "zone"))
	return l
})

// anyIP returns a network, or a range of addresses.
var anyIP = rapid.Custom(func(t *rapid.T) policy.IPCondition {
	address := func(name string) netip.Addr {
		if rapid.Bool().Draw(t, name+" is IPv6") {
			return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)))
		}
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name)))
	}
	if rapid.Bool().Draw(t, "range") {
		return policy.IPCondition{From: address("from"), To: address("to")}
	}
	a := address("prefix")
	if a.Is4In6() {
		a = a.Unmap()
	}
	return policy.IPCondition{Prefix: netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))}
})

var anyCondition = rapid.Custom(func(t *rapid.T) policy.Condition {
	named := rapid.Custom(func(t *rapid.T) policy.ValueCondition {
		return policy.ValueCondition{Name: rapid.String().Draw(t, "name"), Pattern: rapid.String().Draw(t, "pattern")}
	})
	return policy.Condition{
		IP: maybe(anyIP).Draw(t, "ip"), Header: maybe(named).Draw(t, "header"), Query: maybe(named).Draw(t, "query"),
		Claim: maybe(named).Draw(t, "claim"), Invert: rapid.Bool().Draw(t, "invert"),
	}
})

var anyPolicies = rapid.Custom(func(t *rapid.T) policy.Definition {
	text := rapid.String()
	limit := maybe(anyLimit)
	group := rapid.Custom(func(t *rapid.T) policy.Group {
		return policy.Group{Description: text.Draw(t, "description"), Conditions: listOf(anyCondition).Draw(t, "conditions"), Limit: limit.Draw(t, "limit")}
	})
	return policy.Definition{
		Policies: listOf(rapid.Custom(func(t *rapid.T) policy.Policy {
			return policy.Policy{
				Kind: upTo(policy.Application).Draw(t, "kind"), Name: text.Draw(t, "name"), Description: text.Draw(t, "description"),
				Limit: limit.Draw(t, "limit"), Burst: limit.Draw(t, "burst"), PassOnQuotaReach: rapid.Bool().Draw(t, "pass"),
				Per: upTo(policy.PerToken).Draw(t, "per"), Groups: listOf(group).Draw(t, "groups"),
			}
		})).Draw(t, "policies"),
		Rules: listOf(rapid.Custom(func(t *rapid.T) policy.CustomRule {
			return policy.CustomRule{
				Name: text.Draw(t, "name"), Description: text.Draw(t, "description"), When: text.Draw(t, "when"),
				Key: text.Draw(t, "key"), Limit: anyLimit.Draw(t, "limit"),
			}
		})).Draw(t, "rules"),
		Denies: listOf(rapid.Custom(func(t *rapid.T) policy.Deny {
			d := policy.Deny{
				ID: text.Draw(t, "id"), Kind: upTo(policy.DenyIPRange).Draw(t, "kind"), Value: text.Draw(t, "value"),
				Invert: rapid.Bool().Draw(t, "invert"), Off: rapid.Bool().Draw(t, "off"),
			}
			if ip := maybe(anyIP).Draw(t, "ip"); ip != nil {
				d.IP = *ip
			}
			return d
		})).Draw(t, "denies"),
		Backends: listOf(rapid.Custom(func(t *rapid.T) policy.Backend {
			return policy.Backend{
				Context: text.Draw(t, "context"), Version: text.Draw(t, "version"),
				Production: limit.Draw(t, "production"), Sandbox: limit.Draw(t, "sandbox"),
			}
		})).Draw(t, "backends"),
	}
})

var anyAPI = rapid.Custom(func(t *rapid.T) gateway.API {
	text := rapid.String()
	texts := listOf(text)
	endpoints := maybe(rapid.Custom(func(t *rapid.T) gateway.Endpoints {
		return gateway.Endpoints{
			URLs: append([]string{}, texts.Draw(t, "urls")...), Failover: rapid.Bool().Draw(t, "failover"),
			Timeout: time.Duration(rapid.Int64().Draw(t, "timeout")),
		}
	}))
	return gateway.API{
		Name: text.Draw(t, "name"), Version: text.Draw(t, "version"), Context: text.Draw(t, "context"), Tier: text.Draw(t, "tier"),
		DisableSecurity: rapid.Bool().Draw(t, "open"), AuthHeader: text.Draw(t, "header"),
		Production: endpoints.Draw(t, "production"), Sandbox: endpoints.Draw(t, "sandbox"),
		CORS: maybe(rapid.Custom(func(t *rapid.T) gateway.CORS {
			return gateway.CORS{
				AllowOrigins: texts.Draw(t, "origins"), AllowMethods: texts.Draw(t, "methods"), AllowHeaders: texts.Draw(t, "headers"),
				ExposeHeaders: texts.Draw(t, "exposed"), AllowCredentials: rapid.Bool().Draw(t, "credentials"),
				MaxAge: time.Duration(rapid.Int64().Draw(t, "age")),
			}
		})).Draw(t, "cors"),
		Resources: listOf(rapid.Custom(func(t *rapid.T) gateway.Resource {
			return gateway.Resource{
				Method: text.Draw(t, "method"), Template: text.Draw(t, "template"), Tier: text.Draw(t, "tier"),
				DisableSecurity: rapid.Bool().Draw(t, "open"), Weight: rapid.Int64().Draw(t, "weight"),
				Production: endpoints.Draw(t, "production"), Sandbox: endpoints.Draw(t, "sandbox"),
			}
		})).Draw(t, "resources"),
	}
})

var anyApplication = rapid.Custom(func(t *rapid.T) identity.Application {
	text := rapid.String()
	return identity.Application{
		ID: text.Draw(t, "id"), Name: text.Draw(t, "name"), Owner: text.Draw(t, "owner"), Tier: text.Draw(t, "tier"),
		Keys: listOf(rapid.Custom(func(t *rapid.T) identity.Key {
			return identity.Key{Type: upTo(weir.Sandbox).Draw(t, "type"), Hash: text.Draw(t, "hash")}
		})).Draw(t, "keys"),
		Clients: listOf(rapid.Custom(func(t *rapid.T) identity.Client {
			return identity.Client{ID: text.Draw(t, "id"), Type: upTo(weir.Sandbox).Draw(t, "type"), Issuer: text.Draw(t, "issuer")}
		})).Draw(t, "clients"),
		Subscriptions: listOf(rapid.Custom(func(t *rapid.T) identity.Subscription {
			return identity.Subscription{API: text.Draw(t, "api"), Version: text.Draw(t, "version"), Tier: text.Draw(t, "tier")}
		})).Draw(t, "subscriptions"),
	}
})

// TestArtifactKeepsAnyDefinition writes and reads definitions of every shape,
// sensible or not: what comes back is what went in, to the last field.
func TestArtifactKeepsAnyDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := gateway.Definition{
			APIs: listOf(anyAPI).Draw(t, "apis"), Applications: listOf(anyApplication).Draw(t, "applications"),
			Policies: anyPolicies.Draw(t, "policies"),
		}
		data, err := encodeArtifact(&want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// TestEveryFieldIsCarried counts the fields of what an artifact holds: one that is
// added to the domain must be added to the wire types, and to the tests above.
func TestEveryFieldIsCarried(t *testing.T) {
	tests := []struct {
		of   any
		want int
	}{
		{gateway.Definition{}, 3},
		{gateway.API{}, 10},
		{gateway.Resource{}, 7},
		{gateway.Endpoints{}, 3},
		{gateway.CORS{}, 6},
		{identity.Application{}, 7},
		{identity.Key{}, 2},
		{identity.Client{}, 3},
		{identity.Subscription{}, 3},
		{policy.Definition{}, 4},
		{policy.Policy{}, 8},
		{policy.Group{}, 3},
		{policy.Condition{}, 5},
		{policy.IPCondition{}, 3},
		{policy.ValueCondition{}, 2},
		{policy.CustomRule{}, 5},
		{policy.Deny{}, 6},
		{policy.Backend{}, 4},
		{limiter.Limit{}, 8},
		{limiter.Window{}, 4},
	}
	for _, tt := range tests {
		typ := reflect.TypeOf(tt.of)
		if n := typ.NumField(); n != tt.want {
			t.Errorf("%v has %d fields, of which artifacts carry %d", typ, n, tt.want)
		}
	}
}
