package event

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/weir-project/weir"
)

// The attributes of an event in WSO2's form, in its order, and those that Weir adds.
const (
	attrMessageID = iota
	attrAppKey
	attrAppTier
	attrAPIKey
	attrAPITier
	attrSubscriptionKey
	attrSubscriptionTier
	attrResourceKey
	attrResourceTier
	attrUserID
	attrAPIContext
	attrAPIVersion
	attrAppTenant
	attrAPITenant
	attrAppID
	attrAPIName
	attrProperties
	attrCount
	attrEvents
	attrBytes
	attrTimestamp
	attrKeyType
	attrApplicationName
	attrApplicationOwner
	attrToken
	attrResource
	attrVerb

	attributes // how many there are
)

var attributeNames = [attributes]string{
	"messageID", "appKey", "appTier", "apiKey", "apiTier", "subscriptionKey", "subscriptionTier",
	"resourceKey", "resourceTier", "userId", "apiContext", "apiVersion", "appTenant", "apiTenant",
	"appId", "apiName", "properties",
	"count", "events", "bytes", "timestamp", "keyType", "applicationName", "applicationOwner", "token",
	"resource", "verb",
}

// maxMillis is the last time in milliseconds that has nanoseconds.
const maxMillis = 1<<63/1_000_000 - 1

// fill makes d.event what the attributes say. Unlike properties these are the
// gateway's own: what is wrong with one is a reason to refuse the event.
func (d *WSO2Decoder) fill(now time.Time) {
	e := &d.event
	r := &e.Request
	r.Context, r.Version, r.API = d.attribute(attrAPIContext), d.attribute(attrAPIVersion), d.attribute(attrAPIName)
	if r.Context == "" {
		d.refuse(errNoContext)
	}
	d.fillResource(r)
	d.readProperties(d.tokens[attrProperties])
	d.fillCaller(r)
	switch d.attribute(attrKeyType) {
	case "", weir.Production.String():
	case weir.Sandbox.String():
		r.KeyType = weir.Sandbox
	default:
		d.refuse(errUnknownKey)
	}
	r.Time = now
	if ms, ok := d.number(attrTimestamp); ok {
		if ms <= 0 || ms > maxMillis {
			d.refuse(errTimestamp)
		}
		r.Time = time.UnixMilli(ms).UTC()
	}
	e.Spent = weir.Spent{Requests: 1, Bytes: d.size}
	if n, ok := d.number(attrCount); ok {
		e.Spent.Requests = n
	}
	e.Spent.Events = e.Spent.Requests
	if n, ok := d.number(attrEvents); ok {
		e.Spent.Events = n
	}
	if n, ok := d.number(attrBytes); ok {
		e.Spent.Bytes = n
	}
	if !plausible(&e.Spent) {
		d.refuse(errSpent)
	}
	if len(d.headers.pairs) > 0 {
		d.others.pairs = d.headers.pairs
		r.Headers, r.Query, r.Claims = &d.headers, &d.others, &d.others
	}
}

// fillResource says what was called.
func (d *WSO2Decoder) fillResource(r *weir.Request) {
	key := d.attribute(attrResourceKey)
	r.APITier, r.ResourceTier = d.attribute(attrAPITier), d.attribute(attrResourceTier)
	if key == "" {
		if r.ResourceTier != "" && r.ResourceTier != weir.Unlimited && !hasAPIPolicy(r) {
			d.refuse(errNoKey)
		}
		return
	}
	rest, ok := strings.CutPrefix(key, r.Context)
	if ok && len(rest) > 0 && rest[0] == ':' && rest[1:] == r.Version {
		if r.ResourceTier != "" {
			r.APITier = r.ResourceTier
		}
		r.Resource, r.Verb = d.attribute(attrResource), d.attribute(attrVerb)
		return
	}
	if ok = ok && len(rest) > 0 && rest[0] == '/'; ok {
		rest, ok = strings.CutPrefix(rest[1:], r.Version)
	}
	colon := strings.LastIndexByte(rest, ':')
	if !ok || colon < 0 || colon > 0 && rest[0] != '/' {
		d.refuse(errResource)
		return
	}
	r.Resource, r.Verb = rest[:colon], rest[colon+1:]
}

// fillCaller says who called, once properties have been read.
func (d *WSO2Decoder) fillCaller(r *weir.Request) {
	r.Application = weir.Application{
		ID: d.attribute(attrAppID), Tier: d.attribute(attrAppTier),
		Name: d.attribute(attrApplicationName), Owner: d.attribute(attrApplicationOwner),
	}
	r.SubscriptionTier, r.Token = d.attribute(attrSubscriptionTier), d.attribute(attrToken)
	r.User = strings.TrimSuffix(d.attribute(attrUserID), userTenant)
	if r.ClientIP = d.v4; !r.ClientIP.IsValid() {
		r.ClientIP = d.v6
	}
	if !isAnonymous(r) || r.Application.ID == "" {
		return
	}
	// The address of an anonymous client is its application. That one is the
	// gateway's word; properties may have a header of the client's in its place.
	if a, err := netip.ParseAddr(r.Application.ID); err == nil {
		r.ClientIP = a.WithZone("")
	} else {
		r.Application.Name = r.Application.ID // it is a real one, whoever uses it
	}
}

// attribute returns the value of an attribute as text; empty if there is none.
func (d *WSO2Decoder) attribute(n int) string {
	t := d.tokens[n]
	switch t.kind {
	case 0, 'n':
		return ""
	case '"', '0':
	default:
		d.refuse(fmt.Errorf("%s is neither a text nor a number", attributeNames[n]))
		return ""
	}
	s := d.text(t)
	if len(s) > MaxText {
		d.refuse(fmt.Errorf("%s is longer than %d bytes", attributeNames[n], MaxText))
		return ""
	}
	return s
}

// number returns the value of an attribute as a whole number, and whether there is one.
func (d *WSO2Decoder) number(n int) (int64, bool) {
	s := d.attribute(n)
	if s == "" {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		d.refuse(fmt.Errorf("%s is no whole number", attributeNames[n]))
	}
	return v, true
}
