package identity_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/identity"
)

// header is one field of a request.
type header struct{ name, value string }

func (h header) Value(name string) (string, bool) { return h.value, strings.EqualFold(name, h.name) }

func (h header) Each(name string, f func(string) bool) {
	if value, ok := h.Value(name); ok {
		f(value)
	}
}

func ExampleAuthenticator() {
	key, hash := identity.NewKey() // the key is shown once; the hash is stored
	directory, err := identity.NewDirectory([]identity.Application{{
		ID: "1", Name: "Shop", Owner: "alice", Tier: "50PerMin",
		Keys:          []identity.Key{{Type: weir.Sandbox, Hash: hash}},
		Subscriptions: []identity.Subscription{{API: "Pizza", Version: "1", Tier: "Gold"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	a := identity.NewAuthenticator(identity.AuthenticatorOptions{})
	client := netip.MustParseAddr("192.0.2.1")
	for _, request := range []header{{"ApiKey", key}, {"ApiKey", "weir_guess"}, {"Accept", "*/*"}} {
		credential, err := a.Find(request, nil, "")
		if err != nil {
			fmt.Println(err)
			continue
		}
		p, err := a.Authenticate(time.Now(), directory, credential, client, request)
		if err != nil {
			fmt.Println(err)
			continue
		}
		tier, _ := p.Subscription("Pizza", "1")
		fmt.Println(p.Application.Name, p.User, p.KeyType, tier)
	}
	// Output:
	// Shop alice SANDBOX Gold
	// invalid credentials: API key has the wrong length
	// missing credentials: request has no credentials
}

func ExampleProxies_ClientIP() {
	proxies, err := identity.NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	if err != nil {
		fmt.Println(err)
		return
	}
	forwarded := header{"X-Forwarded-For", "1.1.1.1, 192.0.2.7, 10.0.0.9"}
	// From a trusted proxy: the right-most address that is not one of ours.
	fmt.Println(proxies.ClientIP(netip.MustParseAddr("10.0.0.1"), forwarded))
	// From anybody else: whatever they say, it is them.
	fmt.Println(proxies.ClientIP(netip.MustParseAddr("203.0.113.5"), forwarded))
	// Output:
	// 192.0.2.7
	// 203.0.113.5
}

func ExampleAppendClient() {
	for _, text := range []string{"192.0.2.7", "2001:db8:1:2:3:4:5:6", "::ffff:192.0.2.7"} {
		fmt.Println(string(identity.AppendClient(nil, netip.MustParseAddr(text))))
	}
	// Output:
	// 192.0.2.7
	// 2001:db8:1:2::/64
	// 192.0.2.7
}
