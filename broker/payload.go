package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-project/weir"
)

// version is that of the fields that Weir adds to WSO2's, and of what is signed.
const version = 1

// maxDepth is how deep the JSON of a message may be nested.
const maxDepth = 8

// maxMillis is the last time that a message may have: the end of the year 9999.
const maxMillis = 253_402_300_799_999

// A payload is every field that a message may have. Those that are not there, or
// null, are nil.
type payload struct {
	// A decision.
	ThrottleKey         *string `json:"throttleKey"`
	IsThrottled         *bool   `json:"isThrottled"`
	ExpiryTimeStamp     *int64  `json:"expiryTimeStamp"`
	EvaluatedConditions *string `json:"evaluatedConditions"`
	Key                 *string `json:"key"`
	Level               *string `json:"level"`
	Policy              *string `json:"policy"`
	Group               *int    `json:"group"`
	WindowStart         *int64  `json:"windowStart"`

	// A deny policy.
	ID                json.RawMessage `json:"id"`
	BlockingCondition *string         `json:"blockingCondition"`
	ConditionValue    *string         `json:"conditionValue"`
	State             *string         `json:"state"`
	TenantDomain      *string         `json:"tenantDomain"`

	// A notification.
	EventType *string `json:"eventType"`
	Event     *string `json:"event"`

	// What Weir adds to each.
	Issuer    *string `json:"issuer"`
	Seq       *uint64 `json:"seq"`
	Issued    *int64  `json:"issued"`
	Version   *int64  `json:"version"`
	Signature *string `json:"signature"`
}

// An envelope is what stands around a payload.
type envelope struct {
	Event struct {
		PayloadData json.RawMessage `json:"payloadData"`
	} `json:"event"`
}

// open returns the payload of a message.
func open(message []byte) (*payload, error) {
	if len(message) > MaxMessage {
		return nil, malformed("%d bytes: at most %d are read", len(message), MaxMessage)
	}
	var e envelope
	if err := decode(message, &e); err != nil {
		return nil, err
	}
	if len(e.Event.PayloadData) == 0 || e.Event.PayloadData[0] != '{' {
		return nil, malformed("event.payloadData is no object")
	}
	p := new(payload)
	if err := json.Unmarshal(e.Event.PayloadData, p); err != nil {
		// A later version may have other types: then that is what is to be said.
		var other struct {
			Version json.RawMessage `json:"version"`
		}
		if json.Unmarshal(e.Event.PayloadData, &other) == nil && other.Version != nil && string(other.Version) != "1" {
			return nil, unknown("version %s: 1 is known", cite(string(other.Version)))
		}
		return nil, malformed("%s", reason(err))
	}
	if p.Version != nil && *p.Version != version {
		return nil, unknown("version %d: 1 is known", *p.Version)
	}
	return p, nil
}

// decode reads JSON that somebody else wrote.
func decode(text []byte, into any) error {
	if !utf8.Valid(text) {
		return malformed("it is no UTF-8")
	}
	if depth(text) > maxDepth {
		return malformed("it is nested deeper than %d levels", maxDepth)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return malformed("%s", reason(err))
	}
	return nil
}

// depth returns how deep JSON is nested. Of what is no JSON it returns something.
func depth(text []byte) int {
	var at, most int
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			at++
			most = max(most, at)
		case c == '}' || c == ']':
			at--
		}
	}
	return most
}

// reason says what is wrong with JSON without repeating what stands there.
func reason(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// Of a number that is too large, Value holds the number.
		kind, _, _ := strings.Cut(e.Value, " ")
		return "field " + cite(e.Field) + " is a " + kind + ", not of type " + e.Type.String()
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "it is no valid JSON"
	}
	return cite(err.Error())
}

// encode appends a message with the payload p to dst.
func encode(dst []byte, p any) []byte {
	var b bytes.Buffer
	b.WriteString(`{"event":{"payloadData":`)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(p)         // texts, numbers and flags can always be written
	b.Truncate(b.Len() - 1) // the line feed
	b.WriteString("}}")
	return append(dst, b.Bytes()...)
}

// An Origin says who said something, and where it stands in what that one said.
type Origin struct {
	// Issuer identifies one run of one process. Seq is greater in each message
	// that it makes than in the one before.
	Issuer string
	Seq    uint64
	// Issued is when it was said, by the clock of the issuer.
	Issued time.Time
}

// signed returns an error if p carries no signature that could be right. What is
// what p tells.
func (p *payload) signed(what string, s Secret) error {
	if of(p.Signature) == "" {
		return unsigned(what, s, nil)
	}
	if p.Version == nil {
		return malformed("version is missing")
	}
	return nil
}

// origin returns who said p.
func (p *payload) origin() (Origin, error) {
	switch {
	case p.Issuer == nil || p.Seq == nil || p.Issued == nil:
		return Origin{}, malformed("issuer, seq or issued is missing")
	case *p.Issuer == "":
		return Origin{}, malformed("issuer is empty")
	}
	issued, err := instant("issued", *p.Issued)
	return Origin{Issuer: *p.Issuer, Seq: *p.Seq, Issued: issued}, err
}

// check returns an error if o can't be told.
func (o *Origin) check() error {
	if o.Issuer == "" {
		return malformed("issuer is empty")
	}
	_, err := instant("issued", o.Issued.UnixMilli())
	return err
}

// A signature is what Weir adds to each payload of WSO2's.
type signature struct {
	Issuer    string `json:"issuer"`
	Seq       uint64 `json:"seq"`
	Issued    int64  `json:"issued"`
	Version   int    `json:"version"`
	Signature string `json:"signature,omitempty"`
}

func (o *Origin) canonical(c canonical) canonical {
	return c.text(o.Issuer).number(o.Seq).number(uint64(o.Issued.UnixMilli()))
}

func (o *Origin) signature(s Secret, c canonical) signature {
	return signature{o.Issuer, o.Seq, o.Issued.UnixMilli(), version, s.sign(c)}
}

// instant returns the time of a number of milliseconds.
func instant(field string, ms int64) (time.Time, error) {
	if ms < 0 || ms > maxMillis {
		return time.Time{}, malformed("%s is %d: a time is from 0 to %d ms", field, ms, int64(maxMillis))
	}
	return time.UnixMilli(ms).UTC(), nil
}

// valid returns s as a message can carry it.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// of returns what p points to, or the zero value.
func of[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// parseLevel returns the level of a name.
func parseLevel(name string) (weir.Level, error) {
	for l := weir.LevelDeny; l <= weir.LevelBackend; l++ {
		if l.String() == name {
			return l, nil
		}
	}
	return 0, malformed("unknown level %s", cite(name))
}
