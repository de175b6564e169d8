package gateway

import (
	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// decide matches x.Request against the policies and takes what it asks for, all
// or nothing. It returns nil if the call is to be forwarded.
func (g *Gateway) decide(x *Exchange) *Answer {
	m := &x.Match
	x.match()
	stats := g.stripe(x)
	if m.RuleErrors > 0 {
		stats.ruleErrors.Add(uint64(m.RuleErrors))
	}
	if m.Denied != nil {
		g.noteDenied(x, m.Denied, x.Time)
		return x.answer(refusal{reason: &limitReasons[weir.LevelDeny], level: weir.LevelDeny.String(), policy: m.Denied.ID})
	}
	if m.Unknown != "" {
		// Only a token can name a tier that doesn't exist: Apply checks the rest.
		return g.reject(x, &notSubscribed)
	}
	g.block(m, x.snapshot, &x.Request, x.Time)
	var ok bool
	if x.Ticket, ok = g.take(x.Time, m.Checks); !ok {
		return g.refuse(x)
	}
	g.tellAdmitted(x)
	x.taken = x.resource != nil // a preflight stays charged, though nothing is forwarded
	for i := range m.Checks {
		if m.Checks[i].Over {
			stats.shadowed[m.Sources[i].Level].Add(1)
		}
	}
	x.limitFields()
	if x.resource == nil {
		return x.preflight(x.api.cors)
	}
	return nil
}

// maxReserve is how much of a declared body is charged before it has come, to
// limits on bytes. The rest is as it comes: nobody may use up what others share
// by announcing what is never sent.
const maxReserve = 64 << 10

// match finds the checks that x must pass. The messages of a WebSocket are held
// to the limits on events one by one, so its opening is not.
func (x *Exchange) match() {
	m := &x.Match
	if x.Upgrade {
		x.snapshot.set.MatchOpen(m, &x.Request)
	} else {
		x.snapshot.set.Match(m, &x.Request)
	}
	if x.ContentLength > maxReserve {
		for i := range m.Checks {
			if m.Checks[i].Limit.Cost == limiter.Bytes {
				m.Checks[i].N = maxReserve
			}
		}
	}
	// No backend sees a preflight, and nobody who shows no key may spend what it
	// has left.
	if last := len(m.Sources) - 1; x.resource == nil && last >= 0 && m.Sources[last].Level == weir.LevelBackend {
		m.Checks, m.Sources = m.Checks[:last], m.Sources[:last]
	}
}

// refuse answers for the limit that refused x.
func (g *Gateway) refuse(x *Exchange) *Answer {
	i := x.Ticket.Refused()
	source, check := x.Match.Sources[i], &x.Match.Checks[i]
	g.noteRefused(x, &x.Match, i, x.Time)
	x.limitFields()
	x.scratch.fields = x.number(x.scratch.fields, "Retry-After", limiter.RetryAfter(x.Match.Checks))
	return x.answer(refusal{
		reason: &limitReasons[source.Level],
		level:  source.Level.String(),
		policy: source.Policy,
		next:   x.Time.Add(check.Reset),
	})
}

// Fail returns the answer for a call that the front door could not parse or
// forward: status is 400, 408, 413, 414, 417, 421, 431, 500 to 505.
func (g *Gateway) Fail(x *Exchange, status int) *Answer {
	x.begin()
	if x.taken {
		g.stripe(x).failed.Add(1)
	} else {
		g.stripe(x).rejected.Add(1)
	}
	return x.answer(refusal{reason: failure(status)})
}

// Finish settles what the call has spent. It must be called once after Admit,
// whatever came of the call. A call that no backend was asked is given back.
func (g *Gateway) Finish(x *Exchange, o Outcome) {
	if !x.taken {
		return
	}
	x.taken = false
	stats := g.stripe(x)
	if !o.Forwarded {
		x.Ticket.Refund(g.clock(x.Time))
		g.takeBack(x)
		return
	}
	stats.forwarded.Add(1)
	stats.reqBytes.Add(uint64(o.RequestBytes))
	stats.respBytes.Add(uint64(o.ResponseBytes))
	end := o.Time
	if end.IsZero() {
		end = x.Time
	}
	n := x.unsettled(o)
	x.Ticket.Settle(g.clock(end), limiter.Bytes, n)
	g.tellBytes(x, end, n)
}
