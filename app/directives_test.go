package app

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/policy"
)

// A fakeDirected notes what holds.
type fakeDirected struct {
	denies    []string
	templates []string
	refuse    bool
}

func (f *fakeDirected) SetDenies(ds []policy.Deny) error {
	if f.refuse {
		return errors.New("refused")
	}
	f.denies = nil
	for _, d := range ds {
		f.denies = append(f.denies, d.ID+"="+d.Value)
	}
	slices.Sort(f.denies)
	return nil
}

func (f *fakeDirected) SetKeyTemplates(ts []string) error {
	f.templates = slices.Sorted(slices.Values(ts))
	return nil
}

func user(id, name string) policy.Deny {
	return policy.Deny{ID: id, Kind: policy.DenyUser, Value: name}
}

func TestDirectives(t *testing.T) {
	t0 := time.Unix(1_700_000_000, 0)
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	var f fakeDirected
	d := newDirectives(&f, true, 2, quietly)
	expect := func(what string, denies, templates []string) {
		t.Helper()
		if !slices.Equal(f.denies, denies) || !slices.Equal(f.templates, templates) {
			t.Errorf("%s: got %v and %v, want %v and %v", what, f.denies, f.templates, denies, templates)
		}
	}
	tell := func(s int, seq uint64, gone bool, p policy.Deny) bool {
		return d.deny(at(s), broker.Deny{Deny: p, Remove: gone, Origin: broker.Origin{Issuer: "a", Seq: seq, Issued: at(s)}})
	}
	d.answered(0, said{asked: at(0), denies: []policy.Deny{user("1", "eve"), user("", "mallory")}, templates: []string{"$user"}})
	d.answered(1, said{asked: at(0), denies: []policy.Deny{user("1", "eve")}, templates: []string{"$user", "$ip"}})
	expect("what the sources say, each once", []string{"1=eve", "=mallory"}, []string{"$ip", "$user"})

	tell(1, 1, false, user("2", "trent"))
	tell(1, 2, true, user("7", "mallory")) // the sources have no ID for it
	d.template(at(1), broker.KeyTemplate{Old: "$ip", New: "$appId", Origin: broker.Origin{Issuer: "a", Seq: 3, Issued: at(1)}})
	expect("what the topic adds and takes away", []string{"1=eve", "2=trent"}, []string{"$appId", "$user"})
	if tell(1, 1, true, user("2", "trent")) || tell(1, 1, false, user("2", "trent")) {
		t.Error("what is older or repeated is taken for news")
	}
	tell(2, 4, false, user("1", "eva"))
	expect("what the topic changes", []string{"1=eva", "2=trent"}, []string{"$appId", "$user"})

	// One source that was asked later is not all of them.
	d.answered(0, said{asked: at(5), denies: []policy.Deny{user("1", "eva"), user("2", "trent")}, templates: []string{"$user", "$appId"}})
	expect("one source knows", []string{"1=eva", "2=trent"}, []string{"$appId", "$user"})
	d.answered(1, said{asked: at(5), templates: []string{"$user"}})
	if len(d.hints) > 0 {
		t.Errorf("the hints are kept although all sources know better: %v", d.hints)
	}
	expect("both know", []string{"1=eva", "2=trent"}, []string{"$appId", "$user"})

	f.refuse = true
	tell(6, 5, false, user("3", "peggy"))
	expect("refused", []string{"1=eva", "2=trent"}, []string{"$appId", "$user"})
}

func TestDirectivesAreBounded(t *testing.T) {
	var f fakeDirected
	d := newDirectives(&f, false, 1, quietly)
	for i := range maxHints {
		d.hints[string(rune(i))] = hint{}
	}
	if d.deny(time.Now(), broker.Deny{Deny: user("x", "y")}) || len(d.hints) != maxHints {
		t.Error("there is no bound to what the topic tells")
	}
	if f.denies != nil {
		t.Error("deny policies are enforced though switched off")
	}
}

func TestBlocks(t *testing.T) {
	b := blocks{
		API: []string{"/shop/1"}, Application: []string{"bob:App", "no owner"}, User: []string{"eve"},
		IP: []blockedIP{
			{Type: "IP", FixedIP: "10.1.2.3", ID: []byte("7")},
			{Type: "IP", FixedIP: "10.0.0.0/8", Invert: true, ID: []byte(`"net"`)},
			{Type: "IPRANGE", StartingIP: "10.0.0.1", EndingIP: "10.0.0.9"},
			{Type: "IPRANGE", StartingIP: "10.0.0.9", EndingIP: "10.0.0.1"},
			{Type: "IP", FixedIP: "here"},
		},
		Subscription: []json.RawMessage{json.RawMessage(`{}`)},
	}
	all, wrong := b.policies()
	if wrong != 4 {
		t.Errorf("got %d that can't be enforced, want 4: no owner, a range that ends before it begins, no address, a subscription", wrong)
	}
	want := []policy.Deny{
		{Kind: policy.DenyAPI, Value: "/shop/1"},
		{Kind: policy.DenyApplication, Value: "bob:App"},
		user("", "eve"),
		{ID: "7", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("10.1.2.3/32")}},
		{ID: "net", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, Invert: true},
		{Kind: policy.DenyIPRange, IP: policy.IPCondition{From: netip.MustParseAddr("10.0.0.1"), To: netip.MustParseAddr("10.0.0.9")}},
	}
	if !slices.Equal(all, want) {
		t.Errorf("got  %+v\nwant %+v", all, want)
	}
}

// FuzzBlocks: whatever an internal data API answers, what is taken of it can be
// enforced.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte(`{"api":["/shop/1"],"application":["bob:App"],"user":["eve"],"custom":[1],"subscription":[{}]}`))
	f.Add([]byte(`{"ip":[{"type":"IP","fixedIp":"10.1.2.3","id":7},{"type":"IPRANGE","startingIp":"::1","endingIp":"::ff","invert":true,"id":"x"}]}`))
	f.Add([]byte(`{"ip":[{"fixedIp":"10.0.0.0/8"},{"fixedIp":"fe80::1%eth0"},{"type":"IPRANGE","startingIp":"10.0.0.1","endingIp":"::1"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b blocks
		if json.Unmarshal(text, &b) != nil {
			return
		}
		all, _ := b.policies()
		var g lockedDirected
		d := newDirectives(&g, true, 1, quietly)
		d.answered(0, said{denies: all})
		if _, err := new(policy.Set).WithDenies(d.all()); err != nil {
			t.Errorf("taken, but not to be enforced: %v", err)
		}
	})
}
