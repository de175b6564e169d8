package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// maxTemplate bounds the length of a key template.
const maxTemplate = 1000

// A variable is what a part of a key template stands for.
type variable uint8

const (
	varText variable = iota
	varUserID
	varAPIContext
	varAPIVersion
	varAPIName
	varResourceKey
	varResource
	varMethod
	varAppTenant
	varAPITenant
	varAppID
	varAppName
	varAppOwner
	varKeyType
	varClientIP
	varClaim
	varHeader
	varQuery
)

// variables are the names of those that stand alone.
var variables = map[string]variable{
	"userId": varUserID, "apiContext": varAPIContext, "apiVersion": varAPIVersion, "apiName": varAPIName,
	"resourceKey": varResourceKey, "resource": varResource, "method": varMethod,
	"appTenant": varAppTenant, "apiTenant": varAPITenant,
	"appId": varAppID, "applicationName": varAppName, "applicationOwner": varAppOwner,
	"keyType": varKeyType, "clientIp": varClientIP,
}

// families are the names of those that have a name after a dot.
var families = map[string]variable{
	"customProperty": varClaim, "claim": varClaim, "header": varHeader, "query": varQuery,
}

// A part is one piece of a key template: text, or a variable.
type part struct {
	variable variable
	text     string // the text, or the name of the header, parameter or claim
}

// A template is a parsed key template.
type template struct {
	parts []part
}

// parseTemplate parses a key template: text in which $name, ${name}, $family.name
// or ${family.name} stand for values of a request and $$ for a dollar sign.
func parseTemplate(s string) (*template, error) {
	switch {
	case s == "":
		return nil, errors.New("is empty")
	case len(s) > maxTemplate:
		return nil, fmt.Errorf("is longer than %d bytes", maxTemplate)
	}
	t := &template{}
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '$')
		if i < 0 {
			i = len(rest)
		}
		t.addText(rest[:i])
		if rest = rest[i:]; rest == "" {
			break
		}
		column := len(s) - len(rest) + 1
		if strings.HasPrefix(rest, "$$") {
			t.addText("$")
			rest = rest[2:]
			continue
		}
		p, n, err := parseVariable(rest)
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", column, err)
		}
		t.parts = append(t.parts, p)
		rest = rest[n:]
	}
	return t, nil
}

func (t *template) addText(s string) {
	if s == "" {
		return
	}
	if n := len(t.parts); n > 0 && t.parts[n-1].variable == varText {
		t.parts[n-1].text += s
		return
	}
	t.parts = append(t.parts, part{varText, s})
}

// parseVariable parses the variable at the beginning of s, which is a dollar
// sign, and returns how many bytes it takes.
func parseVariable(s string) (part, int, error) {
	var name string
	var n int
	if strings.HasPrefix(s, "${") {
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return part{}, 0, errors.New("${ without }")
		}
		name, n = s[2:end], end+1
	} else {
		name = s[1 : 1+span(s[1:], isLetter)]
		if _, ok := families[name]; ok {
			if after := s[1+len(name):]; strings.HasPrefix(after, ".") {
				name = s[1 : 1+len(name)+1+span(after[1:], isNameByte)]
			}
		}
		n = 1 + len(name)
	}
	if v, ok := variables[name]; ok {
		return part{variable: v}, n, nil
	}
	family, key, dotted := strings.Cut(name, ".")
	v, ok := families[family]
	switch {
	case name == "":
		return part{}, 0, errors.New("$ without the name of a variable; write $$ for a dollar sign")
	case !ok:
		return part{}, 0, fmt.Errorf("unknown variable $%s", name)
	case !dotted || key == "":
		return part{}, 0, fmt.Errorf("$%s needs a name: $%s.name", family, family)
	}
	return part{v, key}, n, nil
}

// span returns how many of the first bytes of s are in a class.
func span(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isNameByte(c byte) bool { return isLetter(c) || c == '-' || c == '_' }

// hash continues h by the values of t's variables. Text is no part of it: it is
// the same for every request, and the head of the key has the whole template.
func (t *template) hash(h limiter.Hash, s *Set, req *weir.Request) limiter.Hash {
	for i := range t.parts {
		switch p := &t.parts[i]; p.variable {
		case varText, varAppTenant, varAPITenant:
		case varResourceKey:
			h = h.Add(req.Context).Add(req.Version).Add(req.Resource).Add(req.Verb)
		case varAppID:
			h = s.addApplication(h, req)
		case varKeyType:
			h = h.AddUint64(uint64(req.KeyType))
		case varClientIP:
			h = addAddress(h, s.network(req.ClientIP))
		case varClaim, varHeader, varQuery:
			// What is absent is not what is empty.
			v, ok := p.value(req)
			if !ok {
				h = h.AddUint64(0)
			} else {
				h = h.AddUint64(1).Add(v)
			}
		default:
			h = h.Add(p.field(req))
		}
	}
	return h
}

// append appends the text of the key: values stand in it as they are, what is
// absent is empty.
func (t *template) append(dst []byte, f *form, req *weir.Request) []byte {
	for i := range t.parts {
		switch p := &t.parts[i]; p.variable {
		case varText:
			dst = append(dst, p.text...)
		case varAppTenant, varAPITenant:
			dst = append(dst, tenant...)
		case varUserID:
			dst = appendUser(dst, req)
		case varResourceKey:
			dst = appendResourceKey(dst, req)
		case varAppID:
			dst = f.appendApplication(dst, req)
		case varKeyType:
			dst = append(dst, req.KeyType.String()...)
		case varClientIP:
			dst = f.appendNumber(dst, req.ClientIP)
		case varClaim, varHeader, varQuery:
			v, _ := p.value(req)
			dst = append(dst, v...)
		default:
			dst = append(dst, p.field(req)...)
		}
	}
	return dst
}

// field returns the value of a variable that is a text of every request.
func (p *part) field(req *weir.Request) string {
	switch p.variable {
	case varUserID:
		return req.User
	case varAPIContext:
		return req.Context
	case varAPIVersion:
		return req.Version
	case varAPIName:
		return req.API
	case varResource:
		return req.Resource
	case varMethod:
		return req.Verb
	case varAppName:
		return req.Application.Name
	case varAppOwner:
		return req.Application.Owner
	}
	return ""
}

// value returns the value of a variable that a request need not have.
func (p *part) value(req *weir.Request) (string, bool) {
	switch p.variable {
	case varHeader:
		return lookup(req.Headers, p.text)
	case varQuery:
		return lookup(req.Query, p.text)
	}
	return lookup(req.Claims, p.text)
}

// lookup is v.Value for a v that may be nil.
func lookup(v weir.Values, name string) (string, bool) {
	if v == nil {
		return "", false
	}
	return v.Value(name)
}
