package identity

import (
	"strings"
	"testing"
)

func TestStripHeader(t *testing.T) {
	for _, name := range []string{
		"X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR", "X_Forwarded_For", "x_forwarded-for",
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert",
		"X-Forwarded-Anything-At-All-However-Long-It-May-Be", "X-Forwarded",
		"X-Real-IP", "x_real_ip", "True-Client-IP", "Forwarded", "forwarded", "CF-Connecting-IP", "Fastly-Client-IP",
		"X-Client-IP", "X-Cluster-Client-IP", "Client-IP", "X-Originating-IP", "X-Remote-Addr", "X-Azure-ClientIP",
		"Fly-Client-IP", "X-Envoy-External-Address", "X-Original-URL", "X-Rewrite-URL", "X-Host",
		"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override",
		"X-JWT-Assertion", "X-SSL-Client-S-DN", "Proxy",
	} {
		if !StripHeader(name) {
			t.Errorf("%s is not stripped", name)
		}
	}
	for _, name := range []string{
		"", "x", "X-", "Host", "Accept", "Accept-Encoding", "Authorization", "Cookie", "User-Agent", "Content-Type",
		"Content-Length", "X-Request-ID", "X-Correlation-ID", "X-Custom", "X-Forwarder", "X-Forward", "X-Forwarded-",
		"XX-Forwarded-For", "X-Real-IPs", "Forwarded2", "Traceparent", "Referer", "Origin", "Proxies", "X-Forwardedfor",
		"X-Forwarded~For", strings.Repeat("x", 1<<16),
	} {
		if StripHeader(name) {
			t.Errorf("%.40s is stripped", name)
		}
	}
}

func TestStrippedList(t *testing.T) {
	n := 0
	for length, group := range stripped {
		for _, name := range group {
			n++
			if len(name) != length || name != strings.ToLower(name) || strings.ContainsAny(name, "_ ") {
				t.Errorf("%q is listed wrongly", name)
			}
			for _, form := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "-", "_")} {
				if !StripHeader(form) {
					t.Errorf("%q is not stripped", form)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("%d fields are listed", n)
	}
}

func TestStripHeaderAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { StripHeader("X-Forwarded-For"); StripHeader("Accept-Encoding") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStripHeader(b *testing.B) {
	names := []string{"Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Authorization", "X-Request-ID"}
	b.ReportAllocs()
	for b.Loop() {
		for _, name := range names {
			StripHeader(name)
		}
	}
}
