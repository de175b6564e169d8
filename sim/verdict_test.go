package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
)

// statuses are those of the codes, as reference 4.1 has them; a script need not
// repeat them.
var statuses = map[string]int{
	"900800": 429, "900801": 503, "900802": 429, "900803": 429, "900804": 429,
	"900805": 403, "900806": 429, "900807": 429, "900809": 429,
	"900901": 401, "900902": 401, "900903": 401, "900908": 403,
	"400": 400, "404": 404, "405": 405, "414": 414, "501": 501,
}

// An observation is what came of a request, read from what the client gets.
type observation struct {
	outcome
	status              int // 0 where it was forwarded
	code, level, policy string
	fields              map[string]string
	retry               int64 // 0 without Retry-After
	next                time.Time
	checks              []limiter.Check
	refused             int      // which of them refused, -1 for none
	to                  []string // the backends in question
	path                string   // that they are asked for, with the query
}

// observe reads an answer; nil is a request that is forwarded.
func observe(x *gateway.Exchange, a *gateway.Answer) (observation, error) {
	o := observation{
		outcome: allowed, fields: map[string]string{},
		checks: slices.Clone(x.Match.Checks), refused: x.Ticket.Refused(),
	}
	added := x.Fields
	if a != nil {
		o.status, added = a.Status, a.Fields
		if o.outcome = denied; a.Status < 400 {
			o.outcome = answered
		}
	}
	for _, f := range added {
		if _, twice := o.fields[f.Name]; twice {
			return o, fmt.Errorf("the answer has %s twice", f.Name)
		}
		o.fields[f.Name] = string(f.Value)
	}
	if s, ok := o.fields["Retry-After"]; ok {
		var err error
		if o.retry, err = strconv.ParseInt(s, 10, 64); err != nil || o.retry < 1 {
			return o, fmt.Errorf("Retry-After is %q", s)
		}
	}
	switch o.outcome {
	case allowed:
		for _, t := range x.Upstream.Targets() {
			o.to = append(o.to, t.Scheme+"://"+t.Host+t.Path)
		}
		if o.path = x.ForwardPath; x.ForwardQuery != "" {
			o.path += "?" + x.ForwardQuery
		}
	case denied:
		return o, o.read(a)
	}
	return o, nil
}

// read takes the body of a refusal.
func (o *observation) read(a *gateway.Answer) error {
	var body struct{ Code, Message, Description, Level, Policy, NextAccessTime string }
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return fmt.Errorf("body %q: %w", a.Body, err)
	}
	o.code, o.level, o.policy = body.Code, body.Level, body.Policy
	if want, ok := statuses[o.code]; !ok || want != o.status {
		return fmt.Errorf("status %d has code %s", o.status, o.code)
	}
	if body.Message == "" || body.Description == "" {
		return fmt.Errorf("body %q does not say why", a.Body)
	}
	if body.NextAccessTime != "" {
		var err error
		if o.next, err = time.Parse("2006-Jan-02 15:04:05+0000 UTC", body.NextAccessTime); err != nil {
			return err
		}
	}
	return nil
}

// agrees compares o with what Explain told before.
func (o *observation) agrees(e *gateway.Explanation) error {
	status, code := o.status, o.code
	if e.Status != status || e.Code != code || e.Level != o.level || e.Policy != o.policy {
		return fmt.Errorf("explain tells %d %s %s %s of what is %d %s %s %s",
			e.Status, e.Code, e.Level, e.Policy, status, code, o.level, o.policy)
	}
	return nil
}

// truthful holds the fields of an answer to invariant I16: nothing negative,
// Retry-After not before the limit's own time, and the limit that was applied.
func (o *observation) truthful() error {
	checks := o.checks
	for i := range checks {
		if checks[i].Remaining < 0 {
			return fmt.Errorf("check %d has %d left", i, checks[i].Remaining)
		}
	}
	if _, throttled := limitCodes[o.code]; throttled {
		i := o.refused
		if i < 0 || i >= len(checks) {
			return fmt.Errorf("is refused by check %d of %d", i, len(checks))
		}
		if want := int64((checks[i].Reset + time.Second - 1) / time.Second); o.retry < max(1, want) {
			return fmt.Errorf("Retry-After is %d, the limit is free in %s", o.retry, checks[i].Reset)
		}
		if got, want := o.fields["X-RateLimit-Limit"], strconv.FormatInt(checks[i].Limit.Count, 10); got != want {
			return fmt.Errorf("X-RateLimit-Limit is %s of the limit %s", got, want)
		}
		if o.next.IsZero() {
			return fmt.Errorf("there is no nextAccessTime")
		}
	} else if o.retry != 0 {
		return fmt.Errorf("code %q has Retry-After", o.code)
	}
	for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		if s, ok := o.fields[name]; ok {
			if n, err := strconv.ParseInt(s, 10, 64); err != nil || n < 0 {
				return fmt.Errorf("%s is %q", name, s)
			}
		}
	}
	return o.truthfulItems()
}

// limitCodes are the codes of limits, as opposed to other reasons to refuse.
var limitCodes = map[string]struct{}{
	"900800": {}, "900801": {}, "900802": {}, "900803": {}, "900804": {},
	"900806": {}, "900807": {}, "900809": {},
}

// truthfulItems compares RateLimit with RateLimit-Policy, item by item.
func (o *observation) truthfulItems() error {
	policies, states := o.fields["RateLimit-Policy"], o.fields["RateLimit"]
	if policies == "" && states == "" {
		return nil
	}
	p, s := strings.Split(policies, ", "), strings.Split(states, ", ")
	if len(p) != len(s) {
		return fmt.Errorf("RateLimit-Policy %q and RateLimit %q differ", policies, states)
	}
	for i := range p {
		name, quota, _ := strings.Cut(p[i], ";")
		same, state, _ := strings.Cut(s[i], ";")
		q, r, t := parameter(quota, "q"), parameter(state, "r"), parameter(state, "t")
		if name != same || q < 0 || r < 0 || r > q || t < 1 {
			return fmt.Errorf("RateLimit-Policy %q has RateLimit %q", p[i], s[i])
		}
	}
	return nil
}

// parameter returns a number among the parameters of an item, -1 if it isn't there.
func parameter(params, name string) int64 {
	for p := range strings.SplitSeq(params, ";") {
		if v, ok := strings.CutPrefix(p, name+"="); ok {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// meets compares o with what the script has.
func (o *observation) meets(want *verdict) error {
	switch {
	case o.outcome != want.outcome:
		return fmt.Errorf("got %s", o)
	case want.code != "" && o.code != want.code,
		want.status != 0 && o.status != want.status,
		want.level != "" && o.level != want.level,
		want.policy != "" && o.policy != want.policy,
		want.retry != 0 && o.retry != want.retry,
		want.path != "" && o.path != want.path:
		return fmt.Errorf("got %s", o)
	case want.left >= 0 && o.fields["X-RateLimit-Remaining"] != strconv.FormatInt(want.left, 10):
		return fmt.Errorf("got X-RateLimit-Remaining %q", o.fields["X-RateLimit-Remaining"])
	case want.to != "" && strings.Join(o.to, ",") != want.to:
		return fmt.Errorf("it goes to %s", strings.Join(o.to, ","))
	}
	return nil
}

// String says what came of a request.
func (o *observation) String() string {
	var b strings.Builder
	b.WriteString(string(o.outcome))
	for _, s := range []string{o.code, o.level, o.policy, o.path} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	if o.status != 0 {
		fmt.Fprintf(&b, " status=%d", o.status)
	}
	if o.retry != 0 {
		fmt.Fprintf(&b, " retry=%d", o.retry)
	}
	return b.String()
}

// contains reports that text has not what is wanted in it.
func contains(text, want string) error {
	if !strings.Contains(text, want) {
		return fmt.Errorf("got %q", text)
	}
	return nil
}
