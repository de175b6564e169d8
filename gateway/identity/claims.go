package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxJSONDepth   = 16
	maxJSONMembers = 1000
)

// claims are a token's claims as text, see [Token]. It is a weir.Values.
type claims map[string]string

// Value returns the text of a claim and whether there is one.
func (c claims) Value(name string) (string, bool) {
	text, ok := c[name]
	return text, ok
}

// newClaims returns the claims in set as text. A name with dots that is a claim
// of its own goes before a member of an object.
func newClaims(set map[string]any) claims {
	c := make(claims, len(set))
	for name, value := range set {
		if text, ok := claimText(value); ok {
			c[name] = text
		}
	}
	for name, value := range set {
		c.addMembers(name, value)
	}
	return c
}

// addMembers enters the members of an object under its name, a dot and theirs.
func (c claims) addMembers(prefix string, value any) {
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	for name, member := range object {
		name = prefix + "." + name
		if text, ok := claimText(member); ok {
			if _, taken := c[name]; !taken {
				c[name] = text
			}
			continue
		}
		c.addMembers(name, member)
	}
}

// claimText returns what is no object as text.
func claimText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case []any:
		texts := make([]string, 0, len(v))
		for _, element := range v {
			if _, nested := element.([]any); nested {
				continue
			}
			if text, ok := claimText(element); ok {
				texts = append(texts, text)
			}
		}
		return strings.Join(texts, ","), true
	}
	return "", false
}

// checkObject says whether data is one JSON object that every reader reads the
// same: no name twice in an object, valid UTF-8, not too deep, nothing behind it.
func checkObject(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	c := objectChecker{dec: dec}
	token, err := dec.Token()
	if err != nil || token != json.Delim('{') {
		return errors.New("is not a JSON object")
	}
	if err := c.object(1); err != nil {
		return err
	}
	if dec.More() || dec.InputOffset() != int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return errors.New("goes on after the JSON object")
	}
	return nil
}

// An objectChecker goes over one JSON text.
type objectChecker struct {
	dec     *json.Decoder
	members int
}

// object checks what follows an opening brace, up to the closing one.
func (c *objectChecker) object(depth int) error {
	seen := make(map[string]bool)
	for c.dec.More() {
		name, err := c.dec.Token()
		if err != nil {
			return errors.New("is not JSON")
		}
		text, _ := name.(string)
		if seen[text] {
			return errors.New("has a name twice")
		}
		seen[text] = true
		if err := c.value(depth); err != nil {
			return err
		}
	}
	return c.close()
}

// value checks one value.
func (c *objectChecker) value(depth int) error {
	if c.members++; c.members > maxJSONMembers {
		return fmt.Errorf("has more than %d values", maxJSONMembers)
	}
	token, err := c.dec.Token()
	if err != nil {
		return errors.New("is not JSON")
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxJSONDepth {
		return errors.New("is nested too deep")
	}
	if delim == '{' {
		return c.object(depth + 1)
	}
	for c.dec.More() {
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	return c.close()
}

// close reads the end of an object or an array.
func (c *objectChecker) close() error {
	if _, err := c.dec.Token(); err != nil {
		return errors.New("is not JSON")
	}
	return nil
}
