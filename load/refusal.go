package load

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// throttling begins the codes with which gateways refuse for a limit.
const throttling = "9008"

// A refusalBody is what is read of the body of a refusal: Weir's, or WSO2's, which
// has the same within a fault.
type refusalBody struct {
	Code   code   `json:"code"`
	Level  string `json:"level"`
	Policy string `json:"policy"`
	Fault  *struct {
		Code code `json:"code"`
	} `json:"fault"`
}

// A code is a JSON text or number.
type code string

// UnmarshalJSON implements json.Unmarshaler.
func (c *code) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		*c = code(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(c))
}

// refusal returns why an answer refuses, and whether it does: it has status 429,
// or 403 or 503 and a code for throttling.
func refusal(status int, body []byte) (r Refusal, ok bool) {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusForbidden:
	default:
		return Refusal{}, false
	}
	r.Status = status
	var b refusalBody
	if json.Unmarshal(body, &b) == nil {
		if b.Code == "" && b.Fault != nil {
			b.Code = b.Fault.Code
		}
		r.Code, r.Level, r.Policy = string(b.Code), b.Level, b.Policy
	}
	return r, status == http.StatusTooManyRequests || strings.HasPrefix(r.Code, throttling)
}

// A refusalMemo remembers the last answer that may have been a refusal: within a
// window they are all alike.
type refusalMemo struct {
	status int
	body   []byte
	as     *refusalCounter // nil: it is none
}

func (m *refusalMemo) knows(status int, body []byte) bool {
	return m.status == status && bytes.Equal(m.body, body)
}

func (m *refusalMemo) keep(status int, body []byte, as *refusalCounter) {
	m.status, m.body, m.as = status, append(m.body[:0], body...), as
}
