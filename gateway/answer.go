package gateway

import (
	"strings"
	"time"

	"github.com/weir-project/weir"
)

// A reason is why the gateway answers itself, with the code by which programs
// tell one from the other. The codes from 9008 on are the documents' (throttling)
// and WSO2's (authentication); where neither has one, the status is the code.
type reason struct {
	status      int
	code        string
	message     string
	description string
}

const (
	throttled = "Message throttled out"
	quota     = "You have exceeded your quota"
)

// limitReasons are the reasons of the levels, by weir.Level.
var limitReasons = [...]reason{
	weir.LevelDeny:              {403, "900805", "Message blocked", "You have been blocked from accessing the resource"},
	weir.LevelAPI:               {429, "900800", throttled, quota},
	weir.LevelResource:          {429, "900802", throttled, quota},
	weir.LevelSubscription:      {429, "900804", throttled, quota},
	weir.LevelSubscriptionBurst: {429, "900807", throttled, quota},
	weir.LevelApplication:       {429, "900803", throttled, quota},
	weir.LevelApplicationBurst:  {429, "900809", throttled, "You have exceeded your application burst limit quota"},
	weir.LevelCustom:            {429, "900806", throttled, quota},
	weir.LevelBackend:           {503, "900801", "API Limit Reached", "API not accepting requests"},
}

var (
	missingCredentials = reason{401, "900902", "Missing Credentials", "Send an API key or an access token with the request"}
	invalidCredentials = reason{401, "900901", "Invalid Credentials", "Access failure: the credentials are not valid here"}
	expiredCredentials = reason{401, "900903", "Access Token Expired", "Get a new access token and try again"}
	notSubscribed      = reason{403, "900908", "Resource forbidden", "The application has no subscription to this API"}
	noProduction       = reason{401, "900901", "Invalid Credentials", "Production key offered to the API with no production endpoint"}
	noSandbox          = reason{401, "900901", "Invalid Credentials", "Sandbox key offered to the API with no sandbox endpoint"}
	notFound           = reason{404, "404", "Not Found", "No API declares this path"}
	wrongMethod        = reason{405, "405", "Method Not Allowed", "The path does not declare this method"}
	unavailable        = reason{503, "900900", "Unclassified Authentication Failure", "The credentials cannot be checked now; try again later"}
	notReady           = reason{503, "503", "Service Unavailable", "The gateway has no APIs yet"}
)

// failures are the reasons of what a front door can't parse or forward.
var failures = [...]reason{
	{400, "400", "Bad Request", "The request is malformed or ambiguous"},
	{408, "408", "Request Timeout", "The request did not arrive in time"},
	{413, "413", "Content Too Large", "The body is larger than the gateway takes"},
	{414, "414", "URI Too Long", "The URI is longer than the gateway takes"},
	{417, "417", "Expectation Failed", "The gateway meets no expectation but 100-continue"},
	{421, "421", "Misdirected Request", "The request was meant for another host"},
	{431, "431", "Request Header Fields Too Large", "The header is larger than the gateway takes"},
	{500, "500", "Internal Server Error", "The gateway could not handle the request"},
	{501, "501", "Not Implemented", "The gateway does not know the method or the coding"},
	{502, "502", "Bad Gateway", "The backend could not be reached or gave no valid answer"},
	{503, "503", "Service Unavailable", "The gateway is too busy; try again later"},
	{504, "504", "Gateway Timeout", "The backend did not answer in time"},
	{505, "505", "HTTP Version Not Supported", "The gateway speaks HTTP/1.0, HTTP/1.1 and HTTP/2"},
}

// failure returns the reason for a status that a front door gives.
func failure(status int) *reason {
	for i := range failures {
		if failures[i].status == status {
			return &failures[i]
		}
	}
	return &failures[7]
}

// A refusal is a reason with what is particular to this one.
type refusal struct {
	*reason
	level  string
	policy string
	next   time.Time // zero: not known
}

// answer makes x's answer for r. The body is JSON, or XML if the client asks
// for it before JSON.
func (x *Exchange) answer(r refusal) *Answer {
	a := &x.scratch.answer
	*a = Answer{Status: r.status, ContentType: "application/json; charset=utf-8", Fields: x.Fields}
	x.scratch.body = x.scratch.body[:0]
	if x.wantsXML() {
		a.ContentType = "application/xml; charset=utf-8"
		x.scratch.body = appendXML(x.scratch.body, r)
	} else {
		x.scratch.body = appendJSON(x.scratch.body, r)
	}
	a.Body = x.scratch.body
	return a
}

// wantsXML reports whether the client accepts XML and names it before JSON.
func (x *Exchange) wantsXML() bool {
	if x.Headers == nil {
		return false
	}
	accept, ok := x.Headers.Value("Accept")
	if !ok {
		return false
	}
	xml := strings.Index(accept, "/xml")
	if xml < 0 {
		return false
	}
	json := strings.Index(accept, "/json")
	html := strings.Index(accept, "text/html") // browsers ask for XML without wanting it
	return (json < 0 || xml < json) && html < 0
}

func appendJSON(b []byte, r refusal) []byte {
	var clock [32]byte
	next := r.nextAccess(clock[:0])
	b = append(b, `{"code":"`...)
	b = append(b, r.code...)
	b = append(b, `","message":"`...)
	b = append(b, r.message...)
	b = append(b, `","description":"`...)
	b = r.appendDescription(b, next)
	b = append(b, '"')
	if len(next) > 0 {
		b = append(b, `,"nextAccessTime":"`...)
		b = append(b, next...)
		b = append(b, '"')
	}
	if r.level != "" {
		b = append(b, `,"level":"`...)
		b = append(b, r.level...)
		b = append(b, `","policy":`...)
		b = appendJSONString(b, r.policy)
	}
	return append(b, '}')
}

func appendXML(b []byte, r refusal) []byte {
	var clock [32]byte
	next := r.nextAccess(clock[:0])
	b = append(b, `<amt:fault xmlns:amt="http://wso2.org/apimanager/throttling"><amt:code>`...)
	b = append(b, r.code...)
	b = append(b, `</amt:code><amt:message>`...)
	b = append(b, r.message...)
	b = append(b, `</amt:message><amt:description>`...)
	b = r.appendDescription(b, next)
	b = append(b, `</amt:description>`...)
	if len(next) > 0 {
		b = append(b, `<amt:nextAccessTime>`...)
		b = append(b, next...)
		b = append(b, `</amt:nextAccessTime>`...)
	}
	if r.level != "" {
		b = append(b, `<amt:level>`...)
		b = append(b, r.level...)
		b = append(b, `</amt:level><amt:policy>`...)
		b = appendXMLText(b, r.policy)
		b = append(b, `</amt:policy>`...)
	}
	return append(b, `</amt:fault>`...)
}

// nextAccess appends the time of the next access, if it is known, in the
// documents' form: 2026-Jan-02 15:04:05+0000 UTC. A part of a second counts as a
// whole one: nobody is told to come too early.
func (r refusal) nextAccess(b []byte) []byte {
	if r.next.IsZero() {
		return b
	}
	t := r.next.Add(time.Second - 1).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(appendInt(b, int64(year)), '-')
	b = append(append(b, month.String()[:3]...), '-')
	b = append(appendTwo(b, day), ' ')
	b = append(appendTwo(b, hour), ':')
	b = append(appendTwo(b, minute), ':')
	return append(appendTwo(b, second), "+0000 UTC"...)
}

// appendTwo appends n, which is less than 100, in two digits.
func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// appendDescription adds the time of the next access to a quota's description,
// in the documents' words.
func (r refusal) appendDescription(b, next []byte) []byte {
	b = append(b, r.description...)
	if len(next) > 0 && r.status == 429 {
		b = append(b, " .You can access API after "...)
		b = append(b, next...)
	}
	return b
}

// appendJSONString appends s as a JSON string. Bytes that are not UTF-8 become
// the replacement character.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r < 0x80:
			b = append(b, byte(r))
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}

func appendXMLText(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '&':
			b = append(b, "&amp;"...)
		case r < 0x20 || r == 0xfffe || r == 0xffff: // may not stand in XML at all
			b = append(b, '?')
		default:
			b = append(b, string(r)...)
		}
	}
	return b
}
