package broker

import (
	"fmt"
	"strconv"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A decisionPayload is a decision as WSO2's gateways read it, and what Weir's
// gateways need besides.
type decisionPayload struct {
	ThrottleKey         string `json:"throttleKey"`
	IsThrottled         bool   `json:"isThrottled"`
	ExpiryTimeStamp     int64  `json:"expiryTimeStamp"`
	EvaluatedConditions string `json:"evaluatedConditions,omitempty"`

	Key         string `json:"key"`
	Level       string `json:"level"`
	Policy      string `json:"policy"`
	Group       int    `json:"group"`
	WindowStart *int64 `json:"windowStart,omitempty"`
	signature
}

// AppendDecision appends the message that tells d to dst, and returns the result.
// Times are told in milliseconds; an end between two is told as the later, so that
// nobody passes early. Bytes that are no UTF-8 become U+FFFD.
func AppendDecision(dst []byte, s Secret, d *weir.Decision) []byte {
	t := told(d)
	p := decisionPayload{
		ThrottleKey:         t.Text,
		IsThrottled:         t.Throttled,
		ExpiryTimeStamp:     t.Ends.UnixMilli(),
		EvaluatedConditions: t.Conditions,
		Key:                 fmt.Sprintf("%016x", uint64(t.Key)),
		Level:               t.Level.String(),
		Policy:              t.Policy,
		Group:               t.Group,
	}
	if !t.Begins.IsZero() {
		ms := t.Begins.UnixMilli()
		p.WindowStart = &ms
	}
	o := originOf(&t)
	p.signature = o.signature(s, decisionForm(&t))
	return encode(dst, &p)
}

// ParseDecision returns the decision that a message tells. Its error is a [*Fault].
// Whether it is late, or older than another, is not judged here.
func ParseDecision(s Secret, message []byte) (weir.Decision, error) {
	p, err := open(message)
	if err != nil {
		return weir.Decision{}, err
	}
	if p.ThrottleKey == nil {
		return weir.Decision{}, unknown("it is no decision: it has no throttleKey")
	}
	return p.decision(s)
}

// decision returns the decision that p tells.
func (p *payload) decision(s Secret) (weir.Decision, error) {
	if err := p.signed("a decision", s); err != nil {
		return weir.Decision{}, err
	}
	d, err := p.readDecision()
	if err != nil {
		return weir.Decision{}, err
	}
	if err := checkDecision(&d); err != nil {
		return weir.Decision{}, err
	}
	if !s.signed(decisionForm(&d), *p.Signature) {
		return weir.Decision{}, unsigned("a decision", s, p.Signature)
	}
	return d, nil
}

func (p *payload) readDecision() (weir.Decision, error) {
	var d weir.Decision
	if p.IsThrottled == nil || p.ExpiryTimeStamp == nil || p.Key == nil || p.Level == nil || p.Policy == nil || p.Group == nil {
		return d, malformed("one of isThrottled, expiryTimeStamp, key, level, policy and group is missing")
	}
	o, err := p.origin()
	if err != nil {
		return d, err
	}
	d = weir.Decision{
		Text: *p.ThrottleKey, Policy: *p.Policy, Group: *p.Group, Throttled: *p.IsThrottled,
		Issuer: o.Issuer, Seq: o.Seq, Issued: o.Issued, Conditions: of(p.EvaluatedConditions),
	}
	if d.Key, err = parseKey(*p.Key); err != nil {
		return d, err
	}
	if d.Level, err = parseLevel(*p.Level); err != nil {
		return d, err
	}
	if d.Ends, err = instant("expiryTimeStamp", *p.ExpiryTimeStamp); err != nil {
		return d, err
	}
	if p.WindowStart != nil {
		d.Begins, err = instant("windowStart", *p.WindowStart)
	}
	return d, err
}

// checkDecision returns an error if a message can't tell d.
func checkDecision(d *weir.Decision) error {
	switch {
	case d.Key == 0 && d.Text == "":
		return malformed("neither key nor throttleKey says what is decided on")
	case d.Level > weir.LevelBackend:
		return malformed("unknown level %d", d.Level)
	case d.Group < -1 || d.Group > 1<<16:
		return malformed("group is %d: it is -1 or an index", d.Group)
	case !d.Begins.IsZero() && !d.Begins.Before(d.Ends):
		return malformed("the window ends before it begins")
	}
	if _, err := instant("windowStart", d.Begins.UnixMilli()); err != nil && !d.Begins.IsZero() {
		return err
	}
	if _, err := instant("expiryTimeStamp", d.Ends.UnixMilli()); err != nil {
		return err
	}
	o := originOf(d)
	return o.check()
}

// told returns d as a message can carry it.
func told(d *weir.Decision) weir.Decision {
	t := *d
	t.Text, t.Policy, t.Issuer, t.Conditions = valid(d.Text), valid(d.Policy), valid(d.Issuer), valid(d.Conditions)
	if up := d.Ends.Truncate(time.Millisecond); up.Before(d.Ends) {
		t.Ends = up.Add(time.Millisecond)
	}
	return t
}

func originOf(d *weir.Decision) Origin { return Origin{d.Issuer, d.Seq, d.Issued} }

// decisionForm is what is signed of a decision.
func decisionForm(d *weir.Decision) canonical {
	c := form("weir decision 1").number(uint64(d.Key)).text(d.Text).
		text(d.Level.String()).text(d.Policy).number(uint64(int64(d.Group))).flag(d.Throttled)
	if c = c.flag(!d.Begins.IsZero()); !d.Begins.IsZero() {
		c = c.number(uint64(d.Begins.UnixMilli()))
	}
	o := originOf(d)
	return o.canonical(c.number(uint64(d.Ends.UnixMilli())).text(d.Conditions))
}

// parseKey returns the key of its 16 digits.
func parseKey(digits string) (limiter.Key, error) {
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || fmt.Sprintf("%016x", v) != digits {
		return 0, malformed("key %s: it has 16 digits of 0 to f", cite(digits))
	}
	return limiter.Key(v), nil
}
