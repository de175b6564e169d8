package gateway

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// cors is a CORS as the gateway answers by it: lists joined once.
type cors struct {
	origins     []string
	anyOrigin   bool
	credentials bool
	methods     string
	headers     string
	expose      string
	maxAge      string
}

// compileCORS returns nil for nil. Methods that are not listed are those that
// the path declares.
func compileCORS(c *CORS) *cors {
	if c == nil {
		return nil
	}
	out := &cors{
		origins:     c.AllowOrigins,
		anyOrigin:   slices.Contains(c.AllowOrigins, "*"),
		credentials: c.AllowCredentials,
		methods:     strings.Join(c.AllowMethods, ", "),
		headers:     strings.Join(c.AllowHeaders, ", "),
		expose:      strings.Join(c.ExposeHeaders, ", "),
	}
	if c.MaxAge > 0 {
		out.maxAge = strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	return out
}

// origin returns the value with which origin is allowed, "" if it is not. With
// credentials a browser takes only the origin itself, never "*".
func (c *cors) origin(origin string) string {
	switch {
	case c.anyOrigin && !c.credentials:
		return "*"
	case c.anyOrigin, slices.Contains(c.origins, origin):
		return origin
	}
	return ""
}

// isPreflight reports whether x asks for leave to make another call.
func (x *Exchange) isPreflight() bool {
	if x.Method != "OPTIONS" || x.Headers == nil {
		return false
	}
	_, origin := x.Headers.Value("Origin")
	_, method := x.Headers.Value("Access-Control-Request-Method")
	return origin && method
}

// addCORS adds what tells the browser that it may read the answer.
func (x *Exchange) addCORS(c *cors) {
	origin, ok := x.Headers.Value("Origin")
	if !ok {
		return
	}
	allowed := c.origin(origin)
	if allowed == "" {
		return
	}
	x.addField("Access-Control-Allow-Origin", allowed)
	if allowed != "*" {
		x.addField("Vary", "Origin")
	}
	if c.credentials {
		x.addField("Access-Control-Allow-Credentials", "true")
	}
	if c.expose != "" {
		x.addField("Access-Control-Expose-Headers", c.expose)
	}
}

// preflight answers x, for which isPreflight is true.
func (x *Exchange) preflight(c *cors) *Answer {
	origin, _ := x.Headers.Value("Origin")
	if c.origin(origin) != "" {
		methods := c.methods
		if methods == "" {
			methods = x.allowed.String()
		}
		x.addField("Access-Control-Allow-Methods", methods)
		if c.headers != "" {
			x.addField("Access-Control-Allow-Headers", c.headers)
		}
		if c.maxAge != "" {
			x.addField("Access-Control-Max-Age", c.maxAge)
		}
	}
	a := &x.scratch.answer
	*a = Answer{Status: 204, Fields: x.Fields}
	return a
}

func (x *Exchange) addField(name, value string) {
	x.Fields = append(x.Fields, Field{name, []byte(value)})
}
