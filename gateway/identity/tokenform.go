package identity

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What is wrong with a token, where it does not depend on the issuer's keys.
var (
	errTokenLong      = invalid("token is longer than 16 KiB")
	errTokenMalformed = invalid("token is malformed")
	errTokenEncrypted = invalid("token is encrypted or holds another token")
	errTokenCritical  = invalid("token has critical or unencoded extensions in its header")
	errTokenType      = invalid("token is of another type: typ says it is not for access")
	errTokenAlgorithm = invalid("token is signed with an algorithm that is not accepted")
	errTokenKeyID     = invalid("token has a malformed kid")
	errTokenIssuer    = invalid("token is from an issuer that is not trusted")
	errTokenSignature = invalid("token has a wrong signature")
	errTokenExpired   = &Error{Expired, "token is expired"}
	errTokenNoExpiry  = invalid("token does not say when it expires")
	errTokenEarly     = invalid("token is not valid yet")
	errTokenDate      = invalid("token has a malformed time")
	errTokenAudience  = invalid("token is for another audience")
	errTokenBound     = invalid("token is bound to a key that its sender did not show (cnf)")
)

// maxKeyID is the length of the longest kid.
const maxKeyID = 256

// tokenTypes are the values of typ, in lower case, that a token for access has.
// Others say that the token was made for something else, such as to log out.
var tokenTypes = []string{"jwt", "at+jwt", "application/jwt", "application/at+jwt"}

// looksLikeToken reports whether text is more of a token than of a key.
func looksLikeToken(text string) bool { return strings.IndexByte(text, '.') >= 0 }

// splitToken returns the parts of a token that are signed, still encoded. It
// looks at each byte once at most, and stops at the fifth dot.
func splitToken(text string) (header, payload string, err *Error) {
	dots, first, second := 0, 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == '.':
			if dots++; dots == 1 {
				first = i
			} else {
				second = i
			}
		default:
			return "", "", errTokenMalformed
		}
		if dots > 4 {
			return "", "", errTokenMalformed
		}
	}
	switch {
	case dots == 4:
		return "", "", errTokenEncrypted
	case dots != 2 || first == 0 || second == first+1 || second == len(text)-1:
		return "", "", errTokenMalformed
	}
	return text[:first], text[first+1 : second], nil
}

// checkSegments says whether the parts of a token are JSON objects that can be
// read in one way only.
func checkSegments(segments ...string) *Error {
	for _, segment := range segments {
		data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
		if err != nil {
			return errTokenMalformed
		}
		if err := checkObject(data); err != nil {
			return invalid("token: a part " + err.Error())
		}
	}
	return nil
}

// checkHeader refuses a token that asks for something that is not done here. A
// part of the header that is not understood may be passed over (RFC 7515), but
// not one that changes what the token means.
func checkHeader(header map[string]any) *Error {
	for _, name := range []string{"enc", "zip", "cty"} {
		if _, ok := header[name]; ok {
			return errTokenEncrypted
		}
	}
	for _, name := range []string{"crit", "b64"} {
		if _, ok := header[name]; ok {
			return errTokenCritical
		}
	}
	if value, ok := header["typ"]; ok {
		typ, _ := value.(string)
		if !slices.Contains(tokenTypes, strings.ToLower(typ)) {
			return errTokenType
		}
	}
	if value, ok := header["kid"]; ok {
		kid, isText := value.(string)
		if !isText || len(kid) > maxKeyID {
			return errTokenKeyID
		}
	}
	return nil
}

// checkTimes says whether a genuine token holds at now.
func checkTimes(now time.Time, issuer *Issuer, claims jwt.MapClaims) *Error {
	if _, ok := claims["cnf"]; ok {
		return errTokenBound
	}
	unix, leeway := now.Unix(), int64(issuer.Leeway/time.Second)
	exp, found, valid := numericDate(claims, "exp")
	switch {
	case !valid:
		return errTokenDate
	case !found && !issuer.AllowNoExpiry:
		return errTokenNoExpiry
	case found && unix >= exp+leeway:
		return errTokenExpired
	}
	for _, name := range []string{"nbf", "iat"} {
		from, found, valid := numericDate(claims, name)
		if !valid {
			return errTokenDate
		}
		if found && unix < from-leeway {
			return errTokenEarly
		}
	}
	return nil
}

// checkAudience says whether a token is for one of the issuer's audiences.
func checkAudience(issuer *Issuer, claims jwt.MapClaims) *Error {
	if len(issuer.Audiences) == 0 {
		return nil
	}
	switch aud := claims["aud"].(type) {
	case string:
		if slices.Contains(issuer.Audiences, aud) {
			return nil
		}
	case []any:
		for _, one := range aud {
			if text, ok := one.(string); ok && slices.Contains(issuer.Audiences, text) {
				return nil
			}
		}
	}
	return errTokenAudience
}
