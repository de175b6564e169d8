package project

import (
	"strings"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/policy"
)

// An applicationFile is what applications.yaml holds, with what it refers to.
type applicationFile struct {
	applications  []identity.Application
	places        []value
	tiers         []tierUse
	subscriptions []subscriptionUse
}

// A tierUse is a place where a policy is named.
type tierUse struct {
	value
	kind policy.Kind
	name string
}

// A subscriptionUse is a place where an API is named.
type subscriptionUse struct {
	value
	api, version string
}

// readApplications reads an applications.yaml. Faults go to the report.
func readApplications(name string, text []byte, r *report) *applicationFile {
	f := &applicationFile{}
	root, err := readDocument(name, text, r)
	if err != nil {
		r.add(err)
		return f
	}
	if root == nil {
		return f
	}
	top, _ := value{place{file: name, node: root}, r}.object("applications")
	list, ok := top.get("applications")
	if !ok {
		return f
	}
	seen := applicationNames{names: map[string]value{}, ids: map[string]value{}, keys: map[string]value{}}
	for _, item := range list.list() {
		f.application(item, &seen)
	}
	return f
}

// applicationNames are what only one application may have.
type applicationNames struct{ names, ids, keys map[string]value }

// claim records that v has a name that must be there once.
func claim(taken map[string]value, name string, v value, what string) bool {
	if first, ok := taken[name]; ok {
		v.fault("%s %s is taken in line %d", what, quoted(name), first.node.Line)
		return false
	}
	taken[name] = v
	return true
}

// application reads one application.
func (f *applicationFile) application(item value, seen *applicationNames) {
	o, ok := item.object("name", "id", "owner", "tier", "clientId", "clients", "keys", "subscriptions")
	if !ok {
		return
	}
	var a identity.Application
	if a.Name, ok = o.required("name", "what subscriptions and keys are made for"); !ok {
		return
	}
	claim(seen.names, a.Name, o.fields["name"], "the name")
	if a.ID = o.text("id"); a.ID == "" {
		a.ID = a.Name
	}
	at := item
	if v, ok := o.get("id"); ok {
		at = v
	}
	claim(seen.ids, a.ID, at, "the id")
	a.Owner, _ = o.required("owner", "the user as whom API keys of the application call")
	a.Tier = f.tier(o, policy.Application)
	a.Clients = o.clients()
	a.Keys = o.keys(seen.keys)
	f.subscribe(o, &a)
	f.applications = append(f.applications, a)
	f.places = append(f.places, item)
}

// tier returns the policy that o names, which is looked up later.
func (f *applicationFile) tier(o object, kind policy.Kind) string {
	name, ok := o.required("tier", "the "+kind.String()+" policy that holds, or "+weir.Unlimited)
	if ok {
		f.tiers = append(f.tiers, tierUse{o.fields["tier"], kind, name})
	}
	return name
}

// subscribe reads what the application may call.
func (f *applicationFile) subscribe(o object, a *identity.Application) {
	list, ok := o.get("subscriptions")
	if !ok {
		return
	}
	seen := map[identity.Subscription]value{} // without tiers
	for _, item := range list.list() {
		s, ok := item.object("api", "version", "tier")
		if !ok {
			continue
		}
		sub := identity.Subscription{Version: s.text("version")}
		if sub.API, ok = s.required("api", "the title of the API's definition"); !ok {
			continue
		}
		if first, ok := seen[sub]; ok {
			item.fault("subscribes to %s a second time, first in line %d", strings.TrimSpace(sub.API+" "+sub.Version), first.node.Line)
		}
		seen[sub] = item
		sub.Tier = f.tier(s, policy.Subscription)
		f.subscriptions = append(f.subscriptions, subscriptionUse{s.fields["api"], sub.API, sub.Version})
		a.Subscriptions = append(a.Subscriptions, sub)
	}
}

// keyTypes are the types of keys.
var keyTypes = map[string]weir.KeyType{"PRODUCTION": weir.Production, "SANDBOX": weir.Sandbox}

// keyType returns the type of a key or client, otherwise where there is none.
func (o object) keyType(required bool) (weir.KeyType, bool) {
	v, ok := o.get("type")
	if !ok {
		if required {
			o.fault("type is missing: PRODUCTION or SANDBOX")
		}
		return weir.Production, !required
	}
	name, ok := v.oneOf("PRODUCTION", "SANDBOX")
	return keyTypes[name], ok
}

// keys reads the hashes of API keys.
func (o object) keys(seen map[string]value) (keys []identity.Key) {
	list, ok := o.get("keys")
	if !ok {
		return nil
	}
	for _, item := range list.list() {
		k, ok := item.object("type", "hash")
		if !ok {
			continue
		}
		t, ok := k.keyType(true)
		hash, hasHash := k.required("hash", "what 'weir key create' stores of a key")
		if !ok || !hasHash {
			continue
		}
		if err := identity.ParseKeyHash(hash); err != nil {
			k.fields["hash"].fault("%v; 'weir key create' makes one", err)
			continue
		}
		if claim(seen, hash, k.fields["hash"], "the hash") {
			keys = append(keys, identity.Key{Type: t, Hash: hash})
		}
	}
	return keys
}

// clients reads the OAuth clients of an application: clientId is short for one
// of type PRODUCTION.
func (o object) clients() (clients []identity.Client) {
	if id := o.text("clientId"); id != "" {
		clients = append(clients, identity.Client{ID: id, Type: weir.Production})
	}
	list, ok := o.get("clients")
	if !ok {
		return clients
	}
	for _, item := range list.list() {
		c, ok := item.object("id", "type", "issuer")
		if !ok {
			continue
		}
		id, ok := c.required("id", "the consumer key, as tokens have it in azp, client_id or consumerKey")
		if !ok {
			continue
		}
		if t, ok := c.keyType(false); ok {
			clients = append(clients, identity.Client{ID: id, Type: t, Issuer: c.text("issuer")})
		}
	}
	return clients
}
