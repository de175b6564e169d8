package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/weir-project/weir"
)

// A Token is a verified JSON Web Token. It never changes.
//
// Its claims are text for conditions: strings as they are, numbers as they are
// written in the token, true and false, arrays as their elements with commas
// between them, and members of objects under both names with a dot between
// (realm_access.roles). Null is no claim, and neither are objects in arrays.
type Token struct {
	// ID is the token's jti or, without one, a hash of what was signed. The
	// signature is no part of it: some have several valid forms.
	ID      string
	Issuer  string
	Subject string // the end user; may be empty
	// ClientID is consumerKey, azp or client_id, the first there is.
	ClientID string
	KeyType  weir.KeyType
	Expires  time.Time // zero: never

	claims      claims
	application *weir.Application // as the claims say; nil if they don't
	uuid        string            // of the application
	rights      rights            // as the claims say
	permits     *permits
	notAfter    int64 // Unix time from which it is expired, leeway included
}

// Claim returns the text of a claim and whether there is one.
func (t *Token) Claim(name string) (string, bool) { return t.claims.Value(name) }

// maxID is the length of the longest jti that is an ID by itself.
const maxID = 128

// newToken makes a Token of the claims of a verified one. signed is what was
// signed.
func newToken(issuer *Issuer, set map[string]any, signed string) (*Token, *Error) {
	t := &Token{Issuer: issuer.Name, claims: newClaims(set), notAfter: math.MaxInt64}
	if exp, ok, _ := numericDate(set, "exp"); ok {
		t.Expires = time.Unix(exp, 0)
		t.notAfter = exp + int64(issuer.Leeway/time.Second)
	}
	if err := t.identify(issuer, set, signed); err != nil {
		return nil, err
	}
	switch keyType, ok := set["keytype"]; {
	case !ok || keyType == weir.Production.String():
	case keyType == weir.Sandbox.String():
		t.KeyType = weir.Sandbox
	default:
		return nil, errTokenKeyType
	}
	if !issuer.ClientsOnly {
		if err := t.takeApplication(set); err != nil {
			return nil, err
		}
	}
	var err *Error
	t.permits, err = newPermits(set)
	return t, err
}

// identify finds the names of the token, its user and its client.
func (t *Token) identify(issuer *Issuer, set map[string]any, signed string) *Error {
	var ok bool
	userClaim := issuer.UserClaim
	if userClaim == "" {
		userClaim = "sub"
	}
	user, _ := t.claims.Value(userClaim)
	if t.Subject, ok = canonicalUser(user, issuer.FoldUser); !ok {
		return errTokenUser
	}
	for _, name := range []string{"consumerKey", "azp", "client_id"} {
		if id, _ := set[name].(string); id != "" {
			t.ClientID = id
			break
		}
	}
	if id, ok := set["jti"].(string); ok && id != "" && len(id) <= maxID {
		t.ID = id
		return nil
	}
	hash := sha256.Sum256([]byte(signed))
	t.ID = "jwt:" + hex.EncodeToString(hash[:12])
	return nil
}

// takeApplication takes the application and its subscriptions from the claims
// of a self-contained token. Subscriptions without a version or a tier are none:
// they would be to every version, or without a limit.
func (t *Token) takeApplication(set map[string]any) *Error {
	object, ok := set["application"].(map[string]any)
	if !ok {
		return nil
	}
	id, _ := claimText(object["id"])
	t.uuid, _ = object["uuid"].(string)
	if id == "" {
		id = t.uuid
	}
	if id == "" {
		return nil
	}
	t.application = &weir.Application{ID: id}
	t.application.Name, _ = object["name"].(string)
	t.application.Owner, _ = object["owner"].(string)
	t.application.Tier, _ = object["tier"].(string)
	list, _ := set["subscribedAPIs"].([]any)
	t.rights = make(rights, len(list))
	for _, element := range list {
		entry, _ := element.(map[string]any)
		var s Subscription
		s.API, _ = entry["name"].(string)
		s.Version, _ = claimText(entry["version"])
		s.Tier, _ = entry["subscriptionTier"].(string)
		if s.API == "" || s.Version == "" || s.Tier == "" {
			continue
		}
		if err := t.rights.add(s); err != nil {
			return errTokenTwice
		}
	}
	return nil
}

// maxDate is the latest time that a token may name: the year 287396, from which
// nothing overflows.
const maxDate = 1 << 43

// numericDate returns the whole seconds of a claim that is a time. It reports
// whether the claim is there, and whether it is a time if so.
func numericDate(set map[string]any, name string) (seconds int64, found, valid bool) {
	value, found := set[name]
	if !found {
		return 0, false, true
	}
	number, ok := value.(json.Number)
	if !ok {
		return 0, true, false
	}
	f, err := number.Float64()
	if err != nil || math.IsNaN(f) || f < 0 || f > maxDate {
		return 0, true, false
	}
	return int64(math.Floor(f)), true, true
}

// canonicalUser returns the one form of a user's name, without spaces around
// it; it reports false for a name with control characters.
func canonicalUser(name string, fold bool) (string, bool) {
	name = strings.TrimSpace(name)
	for _, r := range name {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\uFFFD' {
			return "", false
		}
	}
	if fold {
		name = strings.ToLower(name)
	}
	return name, true
}

var (
	errTokenKeyType = invalid("token has a keytype that is neither PRODUCTION nor SANDBOX")
	errTokenUser    = invalid("token has a user name with control characters")
	errTokenTwice   = invalid("token subscribes twice to one version of an API")
)
