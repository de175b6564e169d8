package test

import "testing"

// TestFleetOnStoreLoss has limits that say what holds while all traffic managers are
// away: one lets nothing pass, the other everything. Once a traffic manager is back,
// both are held as before, and what passed meanwhile was counted.
func TestFleetOnStoreLoss(t *testing.T) {
	t.Parallel()
	for _, loss := range []string{"closed", "open"} {
		t.Run(loss, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 5)
			f.write(files{"policies.yaml": plan("{count: 5, unitTime: 1, timeUnit: day, onStoreLoss: " + loss + "}")})
			tm := f.manager("")
			gateways := []*gatewayProcess{f.micro(tm.throttlingConfig("")), f.micro(tm.throttlingConfig(""))}
			for _, g := range gateways {
				g.awaitJoined(t)
			}
			f.passSlowly(t, 0, 2, []*managerProcess{tm}, gateways...)
			tm.kill()
			for _, g := range gateways {
				until(t, "the gateway to notice", func() bool { return readMetrics(t, g.management).all("weir_events_traffic_manager_up", 0) })
			}
			used := 2
			if loss == "closed" {
				for _, g := range gateways {
					if r := f.call(t, g).want(t, 429, "900804"); r.number("Retry-After") != 1 {
						t.Errorf("Retry-After is %q while nobody knows better, want 1", r.Header.Get("Retry-After"))
					}
				}
			} else {
				f.passSoon(t, 12, gateways...)
				used += 12
			}
			tm.start()
			for _, g := range gateways {
				g.awaitJoined(t)
			}
			tm.awaitUsed(t, f, used)
			if loss == "closed" {
				f.passSlowly(t, used, 3, []*managerProcess{tm}, gateways...)
			}
			f.awaitAnswered(t, gateways...)
			f.refuse(t, gateways...)
		})
	}
}
