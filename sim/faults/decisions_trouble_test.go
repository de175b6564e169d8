package faults

// plague lets troubles happen, one after the other.
func (f *fleet) plague() {
	f.after(f.chance.after(f.plan.every), f.plague)
	if f.now >= f.calmAt()-3*second {
		return
	}
	t := trouble(1) << f.chance.IntN(troubleCount)
	for !f.plan.has(t) || t == nodeDrift {
		t = trouble(1) << f.chance.IntN(troubleCount)
	}
	f.history.printf(f.now, "fault: %v", t)
	switch t {
	case gatewayCrash, managerCrash:
		f.strikeProcess(t)
	case nodePause:
		p := f.anyProcess()
		p.paused = max(p.paused, f.now+f.last(millisecond, 20*second))
		f.begin(p.paused)
		f.history.printf(f.now, "a process stops until %s", f.show(p.paused))
	case nodeWall:
		p := f.anyProcess()
		p.clock.ahead += f.chance.between(-600*second, 600*second)
		p.set = f.now
	case wayLoss, wayDouble, waySlow, wayMute:
		f.strikeWays(t)
	case wayCut, topicDeaf:
		f.cut(t)
	case topicAway:
		f.strikeTopic()
	case forgery:
		f.often(f.forge)
	case replayed:
		f.often(f.repeat)
	case newLimits:
		v := f.chance.IntN(len(f.plan.versions))
		f.begin(f.now + second)
		for _, m := range f.managers {
			f.after(f.chance.between(0, second), func() {
				if m.version = v; m.up {
					m.at(f.now, m.run, func() { m.apply(v) })
				}
			})
		}
	}
}

// last returns how long a trouble lasts.
func (f *fleet) last(least, most int64) int64 {
	return min(f.chance.spread(least, most), f.calmAt()-f.now)
}

// begin notes that something is wrong until a time.
func (f *fleet) begin(until int64) {
	f.faulty++
	f.after(until-f.now, func() {
		f.faulty--
		f.healed = f.now
	})
}

// during does one thing now, and another after a time.
func (f *fleet) during(d int64, do, undo func()) {
	f.begin(f.now + d)
	do()
	f.after(d, undo)
}

// often does something again and again for a while.
func (f *fleet) often(do func()) {
	until := f.now + f.last(second, 10*second)
	f.begin(until)
	var again func()
	again = func() {
		if f.now < until {
			do()
			f.after(f.chance.after(50*millisecond), again)
		}
	}
	again()
}

func (f *fleet) anyProcess() *process {
	i := f.chance.IntN(len(f.gateways) + len(f.managers))
	if i < len(f.gateways) {
		return &f.gateways[i].process
	}
	return &f.managers[i-len(f.gateways)].process
}

func (f *fleet) strikeProcess(t trouble) {
	d := f.last(10*millisecond, 10*second)
	if t == gatewayCrash {
		if g := f.gateways[f.chance.IntN(len(f.gateways))]; g.up {
			f.during(d, g.crash, g.begin)
		}
		return
	}
	runs := 0
	for _, m := range f.managers {
		runs += m.run
	}
	if m := f.managers[f.chance.IntN(len(f.managers))]; m.up && runs < mostRuns {
		f.during(d, m.crash, m.begin)
	}
}

func (f *fleet) strikeWays(t trouble) {
	which := map[trouble]*float64{wayLoss: &f.net.loss, wayDouble: &f.net.double, waySlow: &f.net.slow, wayMute: &f.net.mute}[t]
	if *which > 0 {
		return
	}
	p := pick(f.chance, 0.02, 0.1, 0.3, 0.7)
	f.during(f.last(100*millisecond, 10*second), func() { *which = p }, func() { *which = 0 })
	if t == waySlow {
		f.begin(f.calmAt()) // what is on its way by then comes in time
	}
}

// cut parts gateways from traffic managers, or from the topic.
func (f *fleet) cut(t trouble) {
	g := f.chance.IntN(len(f.gateways))
	d := f.last(100*millisecond, 15*second)
	if t == topicDeaf {
		if !f.deaf[g] {
			f.during(d, func() { f.deaf[g] = true }, func() { f.deaf[g] = false })
		}
		return
	}
	m := f.chance.IntN(len(f.managers))
	there := f.chance.of(0.7)
	back := !there || f.chance.of(0.7)
	if f.net.there[g][m] || f.net.back[g][m] {
		return
	}
	f.during(d, func() { f.net.there[g][m], f.net.back[g][m] = there, back },
		func() { f.net.there[g][m], f.net.back[g][m] = false, false })
}

// strikeTopic takes the broker away. When it is back, traffic managers say again what holds.
func (f *fleet) strikeTopic() {
	if f.away {
		return
	}
	f.during(f.last(100*millisecond, 10*second), func() { f.away = true }, func() {
		f.away = false
		for _, m := range f.managers {
			if m.up {
				m.after(f.chance.between(0, second), func() { m.manager.Republish(m.read()) })
			}
		}
	})
}

// troubled reports whether anything has been wrong in the last while.
func (f *fleet) troubled(d int64) bool {
	return f.faulty > 0 || f.now-f.healed < d || f.now-f.start < d
}
