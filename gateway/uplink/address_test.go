package uplink

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"https://tm1:9443":                   "https://tm1:9443/endpoints",
		"https://TM1:9443/":                  "https://tm1:9443/endpoints",
		"https://lb.example/tm/a/endpoints/": "https://lb.example/tm/a/endpoints",
		"http://127.0.0.1:9763":              "http://127.0.0.1:9763/endpoints",
		"https://tm:443":                     "https://tm/endpoints",
		"http://[::1]:080":                   "http://[::1]/endpoints",
		"https://[2001:DB8::1]:9443/x":       "https://[2001:db8::1]:9443/x",
	} {
		a, err := parseAddress(text)
		if err != nil || a.String() != want {
			t.Errorf("%q is %v, error %v, want %s", text, a, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                    "no URL: write one like https://tm1:9443",
		"tm1_url":                             "no URL",
		"tm1:9443":                            "no URL",
		"tcp://tm1:9611":                      "scheme tcp: events go to https://tm1:9443",
		"https://admin:admin@tm1":             "credentials",
		"https://tm1/?a=b":                    "query",
		"https://tm1/?":                       "query",
		"https://tm1/#":                       "fragment",
		"https://tm1:0":                       "port",
		"https://tm1:":                        "port",
		"https://tm1:70000":                   "port",
		"https://tm1/a/../b":                  "canonical",
		"https://tm1/a//b":                    "canonical",
		"https://tm1/a%2fb":                   "canonical",
		"https://tm 1":                        "no URL",
		"https://tm1\r\nX: y":                 "no URL",
		"https://tm1/a\r\nX: y":               "no URL",
		"https://[fe80::1%25eth0]:9443":       "host",
		"https://" + strings.Repeat("a", 254): "host",
	} {
		if a, err := parseAddress(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is %v, error %v, want %q in it", text, a, err, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for url, want := range map[string]bool{
		"https://localhost": true, "https://a.localhost:9443": true, "https://127.8.9.1": true, "https://[::1]": true, "https://[::ffff:127.0.0.1]": true,
		"https://10.0.0.1": false, "https://localhost.example": false, "https://127.0.0.1.example": false, "https://[::2]": false, "https://0.0.0.0": false,
	} {
		a, err := parseAddress(url)
		if err != nil || a.loopback() != want {
			t.Errorf("%s: loopback is %v, want %v; error %v", url, a.loopback(), want, err)
		}
	}
}

// FuzzParseAddress holds that what is accepted has one form, and that nothing in
// it can end a line of a call's head.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{
		"https://tm1:9443/endpoints", "http://A.b_c:080/x/", "https://a%0d%0a", "http://a\x7f", "https://[::ffff:1.2.3.4]:1/%41",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err != nil {
			return
		}
		again, err := parseAddress(a.String())
		if err != nil || again != a {
			t.Errorf("%q: %q is %v when parsed again, error %v", text, a.String(), again, err)
		}
		for _, c := range []byte(a.authority() + a.path) {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%q: %q has byte %#x", text, a.String(), c)
			}
		}
	})
}
