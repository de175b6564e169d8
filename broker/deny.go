package broker

import (
	"encoding/json"
	"net/netip"
	"strconv"

	"github.com/weir-project/weir/policy"
)

// A Deny tells of a deny policy that is in force from now on, or no longer.
type Deny struct {
	// Deny is the policy. One that is Off is told as one that is removed; Off
	// itself is never set in what was parsed.
	Deny policy.Deny
	// Remove tells that Deny.ID is no longer in force.
	Remove bool
	Origin
}

// conditions are WSO2's names of the kinds of deny policy.
var conditions = [...]string{
	policy.DenyAPI:         "API",
	policy.DenyApplication: "APPLICATION",
	policy.DenyUser:        "USER",
	policy.DenyIP:          "IP",
	policy.DenyIPRange:     "IPRANGE",
}

// tenant is the tenant of every deny policy: Weir has one.
const tenant = "carbon.super"

// A denyPayload is a deny policy as WSO2's gateways read it, and our fields.
type denyPayload struct {
	ID                any    `json:"id"`
	BlockingCondition string `json:"blockingCondition"`
	ConditionValue    string `json:"conditionValue"`
	State             string `json:"state"`
	TenantDomain      string `json:"tenantDomain"`
	signature
}

// fixedIP and ipRange are condition values, which are JSON in a text.
type fixedIP struct {
	FixedIP string `json:"fixedIp"`
	Invert  bool   `json:"invert"`
}

type ipRange struct {
	StartingIP string `json:"startingIp"`
	EndingIP   string `json:"endingIp"`
	Invert     bool   `json:"invert"`
}

// AppendDeny appends the message that tells d, which must be valid, to dst.
func AppendDeny(dst []byte, s Secret, d *Deny) []byte {
	t := toldDeny(d)
	p := denyPayload{
		ID:                t.Deny.ID,
		BlockingCondition: conditions[t.Deny.Kind],
		ConditionValue:    conditionValue(&t.Deny),
		State:             strconv.FormatBool(!t.Remove),
		TenantDomain:      tenant,
		signature:         t.signature(s, denyForm(&t, tenant)),
	}
	if number(t.Deny.ID) {
		p.ID = json.Number(t.Deny.ID) // as WSO2 has them
	}
	return encode(dst, &p)
}

// toldDeny returns d as a message can carry it.
func toldDeny(d *Deny) Deny {
	t := *d
	t.Remove, t.Deny.Off = d.Remove || d.Deny.Off, false
	t.Deny.ID, t.Deny.Value, t.Issuer = valid(d.Deny.ID), valid(d.Deny.Value), valid(d.Issuer)
	return t
}

// number reports whether an ID is a number in its shortest form.
func number(id string) bool {
	v, err := strconv.ParseUint(id, 10, 63)
	return err == nil && strconv.FormatUint(v, 10) == id
}

func conditionValue(d *policy.Deny) string {
	var v any
	switch d.Kind {
	case policy.DenyIP:
		v = fixedIP{addressText(d.IP.Prefix), d.Invert}
	case policy.DenyIPRange:
		v = ipRange{d.IP.From.String(), d.IP.To.String(), d.Invert}
	default:
		return d.Value
	}
	text, _ := json.Marshal(v) // texts and flags can always be written
	return string(text)
}

// addressText returns a prefix as text, one of full length as an address.
func addressText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// checkDeny returns an error if d can't be told, or no gateway could enforce it.
func checkDeny(d *Deny) error {
	if int(d.Deny.Kind) >= len(conditions) {
		return malformed("unknown kind of deny policy %d", d.Deny.Kind)
	}
	if _, err := policy.Compile(policy.Definition{Denies: []policy.Deny{d.Deny}}, policy.Options{}); err != nil {
		return malformed("%s", cite(err.Error()))
	}
	return d.check()
}

// denyForm is what is signed of a deny policy.
func denyForm(d *Deny, tenant string) canonical {
	c := form("weir deny 1").text(d.Deny.ID).text(conditions[d.Deny.Kind]).flag(d.Deny.Invert).flag(d.Remove).text(tenant)
	switch d.Deny.Kind {
	case policy.DenyIP:
		c = c.text(addressText(d.Deny.IP.Prefix))
	case policy.DenyIPRange:
		c = c.text(d.Deny.IP.From.String()).text(d.Deny.IP.To.String())
	default:
		c = c.text(d.Deny.Value)
	}
	return d.canonical(c)
}

// deny returns the deny policy that p tells.
func (p *payload) deny(s Secret) (*Deny, error) {
	if err := p.signed("a deny policy", s); err != nil {
		return nil, err
	}
	d, err := p.readDeny()
	if err != nil {
		return nil, err
	}
	if err := checkDeny(d); err != nil {
		return nil, err
	}
	if !s.signed(denyForm(d, of(p.TenantDomain)), *p.Signature) {
		return nil, unsigned("a deny policy", s, p.Signature)
	}
	return d, nil
}

func (p *payload) readDeny() (*Deny, error) {
	if p.ConditionValue == nil || p.State == nil {
		return nil, malformed("conditionValue or state is missing")
	}
	d := &Deny{Remove: *p.State != "true"} // anything else removes, as in WSO2
	var err error
	if d.Origin, err = p.origin(); err != nil {
		return nil, err
	}
	if d.Deny.ID, err = parseID(p.ID); err != nil {
		return nil, err
	}
	for kind, name := range conditions {
		if name == *p.BlockingCondition {
			d.Deny.Kind = policy.DenyKind(kind)
			return d, d.readCondition(*p.ConditionValue)
		}
	}
	return nil, unknown("a deny policy of kind %s", cite(*p.BlockingCondition))
}

// parseID returns an ID, which is a number or a text.
func parseID(raw json.RawMessage) (string, error) {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", nil
	case raw[0] == '"' && json.Unmarshal(raw, &text) == nil:
		return text, nil
	case number(string(raw)):
		return string(raw), nil
	}
	return "", malformed("id is neither a text nor a whole number")
}

// readCondition reads what d denies.
func (d *Deny) readCondition(value string) error {
	switch d.Deny.Kind {
	case policy.DenyIP:
		var v fixedIP
		if err := decode([]byte(value), &v); err != nil {
			return err
		}
		d.Deny.Invert = v.Invert
		return parseAddresses(&d.Deny.IP.Prefix, v.FixedIP)
	case policy.DenyIPRange:
		var v ipRange
		if err := decode([]byte(value), &v); err != nil {
			return err
		}
		d.Deny.Invert = v.Invert
		if err := parseAddress(&d.Deny.IP.From, v.StartingIP); err != nil {
			return err
		}
		return parseAddress(&d.Deny.IP.To, v.EndingIP)
	}
	d.Deny.Value = value
	return nil
}

// parseAddresses sets to to an address or a prefix.
func parseAddresses(to *netip.Prefix, text string) error {
	if p, err := netip.ParsePrefix(text); err == nil {
		*to = p
		return nil
	}
	var a netip.Addr
	err := parseAddress(&a, text)
	*to = netip.PrefixFrom(a, a.BitLen())
	return err
}

func parseAddress(to *netip.Addr, text string) error {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return malformed("%s is no IP address", cite(text))
	}
	*to = a
	return nil
}
