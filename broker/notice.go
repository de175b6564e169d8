package broker

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// A KeyTemplate tells that a custom rule counts under a key template: Old empty
// is a new one, New empty is one that is no more.
type KeyTemplate struct {
	Old, New string
	Origin
}

// A PolicyChange tells that a policy was created, updated, deleted or reset, so
// that those who hold it ask for it again.
type PolicyChange struct {
	// Event is POLICY_CREATE, POLICY_UPDATE, POLICY_DELETE or POLICY_RESET.
	Event string
	// Detail is the event as JSON, as its sender wrote it.
	Detail []byte
	Origin
}

// The types of notification that are known.
const (
	templateAdd    = "CUSTOM_POLICY_ADD"
	templateDelete = "CUSTOM_POLICY_DELETE"
	templateUpdate = "CUSTOM_POLICY_UPDATE"
	policyPrefix   = "POLICY_"
)

// A noticePayload is a notification as WSO2's gateways read it, and our fields.
type noticePayload struct {
	EventType string `json:"eventType"`
	Timestamp int64  `json:"timestamp"`
	Event     string `json:"event"` // base64 of JSON
	signature
}

// A templateEvent is the event of a notification on key templates.
type templateEvent struct {
	KeyTemplate    string `json:"keyTemplate,omitempty"`
	OldKeyTemplate string `json:"oldKeyTemplate,omitempty"`
	NewKeyTemplate string `json:"newKeyTemplate,omitempty"`
}

// AppendKeyTemplate appends the message that tells k to dst.
func AppendKeyTemplate(dst []byte, s Secret, k *KeyTemplate) []byte {
	t := *k
	t.Old, t.New, t.Issuer = valid(k.Old), valid(k.New), valid(k.Issuer)
	kind, event := templateUpdate, templateEvent{OldKeyTemplate: t.Old, NewKeyTemplate: t.New}
	switch {
	case t.Old == "":
		kind, event = templateAdd, templateEvent{KeyTemplate: t.New}
	case t.New == "":
		kind, event = templateDelete, templateEvent{KeyTemplate: t.Old}
	}
	text, _ := json.Marshal(&event) // texts can always be written
	return encode(dst, &noticePayload{
		EventType: kind,
		Timestamp: t.Issued.UnixMilli(),
		Event:     base64.StdEncoding.EncodeToString(text),
		signature: t.signature(s, templateForm(&t)),
	})
}

// AppendPolicyChange appends the message that tells c to dst.
func AppendPolicyChange(dst []byte, s Secret, c *PolicyChange) []byte {
	t := *c
	t.Event, t.Issuer = valid(c.Event), valid(c.Issuer)
	return encode(dst, &noticePayload{
		EventType: t.Event,
		Timestamp: t.Issued.UnixMilli(),
		Event:     base64.StdEncoding.EncodeToString(t.Detail),
		signature: t.signature(s, changeForm(&t)),
	})
}

func templateForm(k *KeyTemplate) canonical {
	return k.canonical(form("weir key template 1").text(k.Old).text(k.New))
}

func changeForm(c *PolicyChange) canonical {
	return c.canonical(form("weir policy change 1").text(c.Event).text(string(c.Detail)))
}

// check returns an error if k can't be told.
func (k *KeyTemplate) check() error {
	if k.Old == "" && k.New == "" {
		return malformed("a key template is missing")
	}
	return k.Origin.check()
}

// check returns an error if c can't be told.
func (c *PolicyChange) check() error {
	if !isPolicyEvent(c.Event) {
		return malformed("%s is no change of a policy", cite(c.Event))
	}
	if !json.Valid(c.Detail) {
		return malformed("the event is no valid JSON")
	}
	return c.Origin.check()
}

func isPolicyEvent(kind string) bool {
	switch strings.TrimPrefix(kind, policyPrefix) {
	case "CREATE", "UPDATE", "DELETE", "RESET":
		return strings.HasPrefix(kind, policyPrefix)
	}
	return false
}

// notice returns what a notification tells.
func (p *payload) notice(s Secret) (Message, error) {
	kind := *p.EventType
	switch {
	case kind == templateAdd || kind == templateDelete || kind == templateUpdate:
		k, err := p.keyTemplate(s, kind)
		return Message{KeyTemplate: k}, err
	case isPolicyEvent(kind):
		c, err := p.policyChange(s, kind)
		return Message{PolicyChange: c}, err
	}
	return Message{}, unknown("a notification of type %s", cite(kind))
}

// event returns the JSON of a notification, and who said it.
func (p *payload) event(what string, s Secret) ([]byte, Origin, error) {
	if err := p.signed(what, s); err != nil {
		return nil, Origin{}, err
	}
	o, err := p.origin()
	if err != nil {
		return nil, o, err
	}
	if p.Event == nil {
		return nil, o, malformed("event is missing")
	}
	text, err := base64.StdEncoding.DecodeString(*p.Event)
	if err != nil {
		return nil, o, malformed("event is no base64")
	}
	return text, o, nil
}

func (p *payload) keyTemplate(s Secret, kind string) (*KeyTemplate, error) {
	text, o, err := p.event("a key template", s)
	if err != nil {
		return nil, err
	}
	var e templateEvent
	if err := decode(text, &e); err != nil {
		return nil, err
	}
	k := &KeyTemplate{Origin: o}
	switch kind {
	case templateAdd:
		k.New = e.KeyTemplate
	case templateDelete:
		k.Old = e.KeyTemplate
	default:
		k.Old, k.New = e.OldKeyTemplate, e.NewKeyTemplate
		if k.Old == "" || k.New == "" {
			return nil, malformed("oldKeyTemplate or newKeyTemplate is missing")
		}
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	if !s.signed(templateForm(k), *p.Signature) {
		return nil, unsigned("a key template", s, p.Signature)
	}
	return k, nil
}

func (p *payload) policyChange(s Secret, kind string) (*PolicyChange, error) {
	text, o, err := p.event("a "+kind+" event", s)
	if err != nil {
		return nil, err
	}
	var any json.RawMessage
	if err := decode(text, &any); err != nil {
		return nil, err
	}
	c := &PolicyChange{Event: kind, Detail: text, Origin: o}
	if err := c.check(); err != nil {
		return nil, err
	}
	if !s.signed(changeForm(c), *p.Signature) {
		return nil, unsigned("a "+kind+" event", s, p.Signature)
	}
	return c, nil
}
