package policy

import (
	"math/big"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-project/weir"
)

// Sources name their limit as the fields of answers do, whatever the name has in it.
func TestSourceNames(t *testing.T) {
	for _, tt := range []struct{ policy, name, item string }{
		{"Gold", `"subscription:Gold"`, `"subscription:Gold";q=5;w=60`},
		{`a";q=1;w="`, `"subscription:a\";q=1;w=\""`, `"subscription:a\";q=1;w=\"";q=5;w=60`},
		{`a\`, `"subscription:a\\"`, `"subscription:a\\";q=5;w=60`},
	} {
		s := compile(t, policies(Policy{Kind: Subscription, Name: tt.policy, Limit: perMinute(5)}))
		req := onlyRules(request())
		req.SubscriptionTier = tt.policy
		var m Match
		s.Match(&m, req)
		if got := m.Sources[0]; got.Name != tt.name || got.Item != tt.item {
			t.Errorf("%q: name %s, item %s; want %s, %s", tt.policy, got.Name, got.Item, tt.name, tt.item)
		}
	}
}

// Each limit that a check has knows its source, also under deny policies that came later;
// and no Set knows another's.
func TestSourcesOfLimits(t *testing.T) {
	d := Definition{
		Policies: []Policy{
			{Kind: Advanced, Name: "Wide", Limit: perMinute(9), Groups: []Group{
				{Conditions: []Condition{{Query: &ValueCondition{Name: "a", Pattern: "x"}}}, Limit: perMinute(1)},
			}},
			{Kind: Subscription, Name: "Gold", Limit: perMinute(5), Burst: perMinute(2)},
			{Kind: Application, Name: "Many", Limit: perMinute(50)},
		},
		Rules:    []CustomRule{{Name: "r", Key: "$userId", Limit: *perMinute(1)}},
		Backends: []Backend{{Context: "/pizza/1", Version: "1", Production: perMinute(1)}},
	}
	s := compile(t, d)
	other, err := compile(t, d).WithDenies([]Deny{{ID: "d", Kind: DenyApplication, Value: "x:y"}})
	if err != nil {
		t.Fatal(err)
	}
	req := request()
	req.APITier, req.SubscriptionTier, req.Application.Tier = "Wide", "Gold", "Many"
	var m, of Match
	s.Match(&m, req)
	other.Match(&of, req)
	if len(m.Checks) < 5 || len(of.Checks) != len(m.Checks) {
		t.Fatalf("%d checks, and %d", len(m.Checks), len(of.Checks))
	}
	for i := range m.Checks {
		if got := s.Source(m.Checks[i].Limit); got == nil || got != m.Sources[i] {
			t.Errorf("check %d: got %+v, want %+v", i, got, m.Sources[i])
		}
		if got := other.Source(of.Checks[i].Limit); got != of.Sources[i] {
			t.Errorf("check %d with deny policies: got %+v", i, got)
		}
		if s.Source(of.Checks[i].Limit) != nil {
			t.Errorf("check %d: the limit of another Set", i)
		}
	}
}

// One Match serves Set after Set, and texts of keys can be had from a later one.
func TestMatchIsReused(t *testing.T) {
	full := compile(t, Definition{
		Policies: Defaults(),
		Rules:    []CustomRule{{Name: "r", Key: "$userId", Limit: *perMinute(1)}},
		Backends: []Backend{{Context: "/pizza/1", Version: "1", Production: perMinute(1)}},
	})
	blank := compile(t, Definition{})
	var m Match
	req := request()
	full.Match(&m, req)
	want := keys(full, &m, req)
	equalLines(t, keys(blank, &m, req), want)
	plain := onlyRules(req)
	blank.Match(&m, plain)
	if len(m.Checks) != 0 || len(m.Sources) != 0 {
		t.Errorf("%d checks of a Set without any", len(m.Checks))
	}
	full.Match(&m, req)
	equalLines(t, keys(full, &m, req), want)
}

// Sets are swapped under readers, who always see one of them as a whole.
func TestMatchWhileSetsAreSwapped(t *testing.T) {
	sets := make([]*Set, 4)
	for i := range sets {
		n := int64(i + 1)
		sets[i] = compile(t, Definition{
			Policies: []Policy{
				{Name: "10KPerMin", Limit: perMinute(n)},
				{Kind: Subscription, Name: "Gold", Limit: perMinute(n), Burst: perMinute(n)},
				{Kind: Application, Name: "50PerMin", Limit: perMinute(n)},
			},
			Rules: []CustomRule{{Name: "r", Key: "$userId", Limit: *perMinute(n)}},
		})
	}
	var live atomic.Pointer[Set]
	live.Store(sets[0])
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var m Match
			req := request()
			for range 2000 {
				live.Load().Match(&m, req)
				if len(m.Checks) != 5 {
					t.Errorf("%d checks, want 5", len(m.Checks))
					return
				}
				for i := range m.Checks {
					if m.Checks[i].Limit.Count != m.Checks[0].Limit.Count {
						t.Error("checks of two Sets in one Match")
						return
					}
				}
			}
		})
	}
	for i := range 200 {
		live.Store(sets[i%len(sets)])
	}
	group.Wait()
}

func TestAppendUint128(t *testing.T) {
	for _, v := range [][2]uint64{
		{0, 0},
		{0, 1},
		{0, 1<<64 - 1},
		{1, 0},
		{1, 1},
		{1<<64 - 1, 1<<64 - 1},
		{1 << 63, 0},
		{542101086242752217, 68739955140067328}, // 10^37
		{5, 7766279631452241920},                // 10^20
	} {
		checkUint128(t, v[0], v[1])
	}
}

func checkUint128(t *testing.T, hi, lo uint64) {
	t.Helper()
	want := new(big.Int).SetUint64(hi)
	want.Lsh(want, 64).Or(want, new(big.Int).SetUint64(lo))
	if got := string(appendUint128([]byte("x"), hi, lo)); got != "x"+want.String() {
		t.Errorf("%d, %d: got %s, want x%s", hi, lo, got, want)
	}
}

func FuzzAppendUint128(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, hi, lo uint64) { checkUint128(t, hi, lo) })
}

// FuzzDenyRange compares the prefixes of a range with the range.
func FuzzDenyRange(f *testing.F) {
	f.Add("10.0.0.1", "10.0.3.9", "10.0.2.255")
	f.Add("::1", "ffff::", "1::")
	f.Add("0.0.0.0", "255.255.255.255", "255.255.255.255")
	f.Fuzz(func(t *testing.T, a, b, client string) {
		from, err1 := netip.ParseAddr(a)
		to, err2 := netip.ParseAddr(b)
		ip, err3 := netip.ParseAddr(client)
		if err1 != nil || err2 != nil || err3 != nil {
			return
		}
		for _, invert := range []bool{false, true} {
			s, err := Compile(denies(Deny{Kind: DenyIPRange, IP: IPCondition{From: from, To: to}, Invert: invert}), Options{})
			if err != nil {
				return
			}
			r := addressRange{plain(from), plain(to)}
			var m Match
			s.Match(&m, &weir.Request{ClientIP: ip})
			if got, want := m.Denied != nil, r.contains(plain(ip)) != invert; got != want {
				t.Errorf("%s in %s to %s, inverted %v: denied %v, want %v", ip, from, to, invert, got, want)
			}
		}
	})
}

// Many deny policies of one kind: each is found, and nothing else.
func TestManyDenies(t *testing.T) {
	var d Definition
	for i := range 3000 {
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		id := strconv.Itoa(i)
		d.Denies = append(d.Denies,
			Deny{ID: "ip" + id, Kind: DenyIP, IP: IPCondition{Prefix: netip.PrefixFrom(a, 32)}},
			Deny{ID: "user" + id, Kind: DenyUser, Value: "user" + id},
			Deny{ID: "api" + id, Kind: DenyAPI, Value: "/api" + id},
			Deny{ID: "app" + id, Kind: DenyApplication, Value: "owner:app" + id})
	}
	s := compile(t, d)
	for i := range 3000 {
		id := strconv.Itoa(i)
		for want, req := range map[string]*weir.Request{
			"ip" + id:   {ClientIP: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})},
			"user" + id: {User: "user" + id},
			"api" + id:  {Context: "/api" + id},
			"app" + id:  {Application: weir.Application{Owner: "owner", Name: "app" + id}},
			"":          {ClientIP: netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), User: id, Context: "/" + id},
		} {
			var m Match
			s.Match(&m, req)
			if got := m.Denied; (got == nil) != (want == "") || got != nil && got.ID != want {
				t.Fatalf("denied by %+v, want %q", got, want)
			}
		}
	}
}

// A narrow deny policy within a wide one, in either order: both hold.
func TestDeniesWithinDenies(t *testing.T) {
	wide := Deny{ID: "wide", Kind: DenyIP, IP: IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
	narrow := Deny{ID: "narrow", Kind: DenyIPRange, IP: IPCondition{From: addr("10.1.0.0"), To: addr("10.1.0.255")}}
	again := Deny{ID: "again", Kind: DenyIP, IP: IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
	for _, list := range [][]Deny{{wide, narrow, again}, {narrow, wide, again}} {
		s := compile(t, denies(list...))
		for ip, want := range map[string]string{"10.1.0.5": "narrow", "10.1.1.5": "wide", "10.2.0.1": "wide", "11.0.0.1": ""} {
			var m Match
			s.Match(&m, &weir.Request{ClientIP: addr(ip)})
			if got := m.Denied; (got == nil) != (want == "") || got != nil && got.ID != want {
				t.Errorf("%s: denied by %+v, want %q", ip, got, want)
			}
		}
	}
}
