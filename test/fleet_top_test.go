package test

import (
	"encoding/json"
	"strings"
	"testing"
)

// A topShown is what `weir top -o json` shows, as far as it is looked at here.
type topShown struct {
	Gateways []struct {
		Refused int
		ByLevel map[string]int `json:"refused_by_level"`
		Rate    float64        `json:"refused_per_second"`
		Lag     float64        `json:"lag_ms"`
		Silent  float64        `json:"silent_ms"`
	}
	Keys []struct {
		Key, Level    string
		Used, Refused int
		Rate          float64 `json:"refused_per_second"`
		Throttled     bool
		Local         bool
	}
}

// top returns what `weir top` shows of traffic managers.
func (f *fleet) top(t testing.TB, managers ...*managerProcess) (v topShown) {
	t.Helper()
	args := []string{"top", "-o", "json"}
	for _, m := range managers {
		args = append(args, "--url", "https://"+m.events)
	}
	if err := json.Unmarshal([]byte(must(t, f.home, args...).stdout), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refused returns how many calls of the fleet's application top shows as refused, by
// key and by gateway.
func (v *topShown) refused(f *fleet) (byKey int, byGateway []int) {
	for _, k := range v.Keys {
		if strings.HasPrefix(k.Key, f.app+":") {
			byKey += k.Refused
		}
	}
	for _, g := range v.Gateways {
		byGateway = append(byGateway, g.Refused)
	}
	return byKey, byGateway
}

// TestFleetTop has `weir top` show what three gateways refuse, once, though two traffic
// managers are told; and again after a traffic manager has lost its memory.
func TestFleetTop(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 6)
	one, two := f.manager(""), f.manager("")
	conf := urlGroup("loadbalance", one, two)
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	managers := []*managerProcess{one, two}
	f.passSlowly(t, 0, 6, managers, gateways...)
	awaitHeard(t, 1, gateways...)
	sum := 0
	for i, g := range gateways {
		for range 2 * (i + 1) { // 2, 4 and 6
			f.refuse(t, g)
			sum++
		}
	}
	shows := func(managers ...*managerProcess) {
		t.Helper()
		var last topShown
		until(t, "top to show what was refused", func() bool {
			last = f.top(t, managers...)
			byKey, byGateway := last.refused(f)
			all := 0
			for _, n := range byGateway {
				all += n
			}
			return byKey == sum && all == sum && last.Keys[0].Used == 6 // also to one that has just begun
		})
		if len(last.Gateways) != 3 {
			t.Fatalf("top shows %+v, want three gateways", last.Gateways)
		}
		for _, g := range last.Gateways {
			if g.Refused != g.ByLevel["subscription"] || g.Refused < 2 || g.Refused > 6 || g.Lag < 0 || g.Silent > 5000 {
				t.Errorf("a gateway is shown as %+v", g)
			}
		}
		if k := last.Keys[0]; !k.Throttled || k.Local || k.Level != "subscription" || k.Rate <= 0 {
			t.Errorf("the key is shown as %+v", k)
		}
	}
	shows(managers...)
	for _, m := range managers {
		shows(m) // each is told all
	}
	two.kill()
	two.start()
	shows(two)
	f.refuse(t, gateways[0])
	sum++
	shows(managers...)
}
