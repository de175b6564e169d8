package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The examples of RFC 7515, appendix A: keys and tokens that others made.
const (
	rfcES256Key = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	rfcES256    = "eyJhbGciOiJFUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	rfcRS256Key = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	rfcRS256    = "eyJhbGciOiJSUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	rfcHS256 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	rfcNone = "eyJhbGciOiJub25lIn0" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
	rfcExpires = 1300819380
)

func TestRFC7515(t *testing.T) {
	file := writeFile(t, "jwks.json", []byte(fmt.Sprintf(`{"keys":[%s,%s]}`, rfcES256Key, rfcRS256Key)))
	v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: "joe", JWKSFile: file}}})
	if err != nil {
		t.Fatal(err)
	}
	before, after := time.Unix(rfcExpires-1, 0), time.Unix(rfcExpires, 0)
	for _, test := range []struct {
		name, text string
		at         time.Time
		want       Kind
	}{
		{"A.2", rfcRS256, before, 0},
		{"A.3", rfcES256, before, 0},
		{"A.2, expired", rfcRS256, after, Expired},
		{"A.3, expired", rfcES256, after, Expired},
		{"A.1, a shared secret", rfcHS256, before, Invalid},
		{"A.5, no signature", rfcNone, before, Invalid},
		{"A.2 with the signature of A.3", rfcRS256[:strings.LastIndexByte(rfcRS256, '.')] + rfcES256[strings.LastIndexByte(rfcES256, '.'):], before, Invalid},
	} {
		token, err := v.Verify(test.at, test.text)
		if KindOf(err) != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		if root, ok := token.Claim("http://example.com/is_root"); root != "true" || !ok || token.Issuer != "joe" {
			t.Errorf("%s: %+v", test.name, token)
		}
	}
}

// Every change of one character of a genuine token makes it worthless.
func TestEveryCharacterCounts(t *testing.T) {
	file := writeFile(t, "jwks.json", []byte(fmt.Sprintf(`{"keys":[%s]}`, rfcES256Key)))
	v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: "joe", JWKSFile: file}}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(rfcExpires-1, 0)
	if _, err := v.Verify(now, rfcES256); err != nil {
		t.Fatal(err)
	}
	for i := range len(rfcES256) {
		for _, c := range []byte{'A', 'B', '_', '.', '=', ' '} {
			if rfcES256[i] == c {
				continue
			}
			changed := rfcES256[:i] + string(c) + rfcES256[i+1:]
			if _, err := v.Verify(now, changed); KindOf(err) != Invalid {
				t.Errorf("character %d changed to %q: %v", i, c, err)
			}
		}
		if _, err := v.Verify(now, rfcES256[:i]); KindOf(err) != Invalid {
			t.Errorf("cut after %d characters: %v", i, err)
		}
	}
}
