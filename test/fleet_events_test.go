package test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/weir-project/weir/event"
)

// wso2Event returns an accepted call of the application shop as WSO2's gateways tell it.
func wso2Event(id string) string {
	return `{"event":{"metaData":{},"correlationData":{},"payloadData":{` +
		`"messageID":"` + id + `","appKey":"shop:ann@carbon.super","appTier":"Unlimited",` +
		`"apiKey":"/pizza/1:1","apiTier":"","subscriptionKey":"shop:/pizza/1:1:Plan","subscriptionTier":"Plan",` +
		`"resourceKey":"/pizza/1/1/menu:GET","resourceTier":"Unlimited","userId":"ann@carbon.super",` +
		`"apiContext":"/pizza/1","apiVersion":"1","appTenant":"carbon.super","apiTenant":"carbon.super",` +
		`"appId":"shop","apiName":"pizza","properties":"{\"ip\":167838211,\"ipv6\":0}"}}}`
}

// plainly returns a client of the traffic manager's port for HTTP.
func (m *managerProcess) plainly(t testing.TB) *client {
	return newClient(t, "http://"+m.management, &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true})
}

// postWSO2 posts events in WSO2's form, and returns how many were accepted, and which
// were not.
func (m *managerProcess) postWSO2(t testing.TB, body string) (accepted int, refused []int) {
	t.Helper()
	r := m.plainly(t).call(t, "POST", "/endpoints/throttleEventReceiver", body,
		"Authorization", basic("admin:admin"), "Content-Type", "application/json")
	var out struct {
		Accepted int
		Refused  []struct {
			Index  int
			Reason string
		}
	}
	if err := json.Unmarshal([]byte(r.text), &out); err != nil || r.StatusCode != 200 {
		t.Fatalf("status %d, body %q: %v", r.StatusCode, r.text, err)
	}
	for _, e := range out.Refused {
		if e.Reason == "" {
			t.Errorf("event %d is refused without a reason", e.Index)
		}
		refused = append(refused, e.Index)
	}
	return out.Accepted, refused
}

// TestFleetWSO2Events posts events as WSO2's gateways do: they are counted together
// with those of Weir's gateways, and decide for these.
func TestFleetWSO2Events(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	gateways := []*gatewayProcess{f.micro(tm.throttlingConfig("")), f.micro(tm.throttlingConfig(""))}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 4, []*managerProcess{tm}, gateways...)
	if n, bad := tm.postWSO2(t, wso2Event("m-1")); n != 1 || len(bad) != 0 {
		t.Errorf("one event: %d accepted, refused %v", n, bad)
	}
	tm.awaitUsed(t, f, 5)
	array := "[" + wso2Event("m-2") + `,{"event":{"payloadData":{"appId":"shop"}}},` + wso2Event("m-3") + `,"pizza"]`
	if n, bad := tm.postWSO2(t, array); n != 2 || fmt.Sprint(bad) != "[1 3]" {
		t.Errorf("two good events and two bad ones: %d accepted, refused %v", n, bad)
	}
	tm.awaitUsed(t, f, 7)
	f.passSlowly(t, 7, 2, []*managerProcess{tm}, gateways...)
	tm.postWSO2(t, wso2Event("m-4")) // the tenth
	awaitHeard(t, 1, gateways...)
	f.refuse(t, gateways...)
	m := readMetrics(t, tm.management)
	if n := m.value(t, "weir_events_total", `result="refused"`); n != 2 {
		t.Errorf("%g events are counted as refused, want 2", n)
	}
}

// TestFleetGuard asks for everything without credentials and with wrong ones.
func TestFleetGuard(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	secure := newClient(t, "https://"+tm.events, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
	for _, c := range []*client{tm.plainly(t), secure} {
		for _, header := range [][]string{
			nil,
			{"Authorization", basic("admin:wrong")},
			{"Authorization", basic("nobody:admin")},
			{"Authorization", basic(":")},
			{"Authorization", basic("admin")},
			{"Authorization", "Basic !"},
			{"Authorization", "Bearer admin:admin"},
		} {
			for _, path := range []string{"/endpoints/events", "/endpoints/throttleEventReceiver", "/internal/data/v1/decisions", "/internal/data/v1/none"} {
				method := "POST"
				if strings.HasPrefix(path, "/internal") {
					method = "GET"
				}
				all := append([]string{"Content-Type", "application/json"}, header...)
				r := c.call(t, method, path, wso2Event("m"), all...)
				if r.StatusCode != 401 || r.Header.Get("WWW-Authenticate") == "" || !json.Valid([]byte(r.text)) {
					t.Errorf("%s %s with %q: status %d, %s", method, path, header, r.StatusCode, r.text)
				}
			}
		}
	}
	if n := tm.used(t, f); n != 0 {
		t.Errorf("%d events were counted", n)
	}
	if n := strings.Count(tm.stderr.String(), "login refused"); n != 1 {
		t.Errorf("the log has %d lines of logins that were refused, want 1", n)
	}
}

// zip returns text, compressed.
func zip(t testing.TB, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFleetBadBodies posts bodies that are none: each is refused, soon and in
// little memory, and nothing is counted but what is good.
func TestFleetBadBodies(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	c := tm.plainly(t)
	const megabytes = 10 << 20
	random := make([]byte, megabytes)
	rand.Read(random)
	bomb := zip(t, make([]byte, megabytes))
	spaces := zip(t, bytes.Repeat([]byte(" "), megabytes))
	list := "[" + strings.Repeat(wso2Event("m")+",", 100) + wso2Event("m")
	const batch, wso2 = "/endpoints/events", "/endpoints/throttleEventReceiver"
	for _, test := range []struct {
		what, path, media, encoding, body string
		status                            int
	}{
		{"nothing", wso2, "application/json", "", "", 400},
		{"no JSON", wso2, "application/json", "", "pizza", 400},
		{"no end", wso2, "application/json", "", list, 400},
		{"more after the end", wso2, "application/json", "", wso2Event("m") + "]", 400},
		{"a number", wso2, "application/json", "", "7", 400},
		{"deep", wso2, "application/json", "", strings.Repeat("[", 100_000), 400},
		{"another type", wso2, "text/plain", "", wso2Event("m"), 415},
		{"no type", wso2, "", "", wso2Event("m"), 415},
		{"another encoding", wso2, "application/json", "br", wso2Event("m"), 415},
		{"10 MB", wso2, "application/json", "", string(random), 413},
		{"10 MB of zeros", wso2, "application/json", "gzip", bomb, 413},
		{"10 MB of spaces", wso2, "application/json", "gzip", spaces, 413},
		{"no gzip", wso2, "application/json", "gzip", wso2Event("m"), 400},
		{"half a gzip", wso2, "application/json", "gzip", zip(t, []byte(wso2Event("m")))[:100], 400},
		{"no batch", batch, "application/json", "", wso2Event("m"), 415},
		{"random bytes", batch, event.MediaType, "", string(random[:1000]), 400},
		{"10 MB as a batch", batch, event.MediaType, "", string(random), 413},
		{"10 MB of zeros as a batch", batch, event.MediaType, "gzip", bomb, 413},
	} {
		header := []string{"Authorization", basic("admin:admin")}
		if test.media != "" {
			header = append(header, "Content-Type", test.media)
		}
		if test.encoding != "" {
			header = append(header, "Content-Encoding", test.encoding)
		}
		r, err := c.do("POST", test.path, test.body, header...)
		if err != nil && test.status == 413 {
			continue // it was cut off before all was sent
		}
		var said struct{ Error string }
		if err != nil || r.StatusCode != test.status || json.Unmarshal([]byte(r.text), &said) != nil || said.Error == "" {
			t.Errorf("%s: %v, status %d, want %d: %s", test.what, err, r.StatusCode, test.status, r.text)
		}
	}
	if n := tm.used(t, f); n != 0 {
		t.Errorf("%d events of bad bodies were counted", n)
	}

	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 4 {
				r, err := c.do("POST", batch, bomb, "Authorization", basic("admin:admin"), "Content-Type", event.MediaType, "Content-Encoding", "gzip")
				if err != nil || r.StatusCode != 413 {
					t.Errorf("a bomb: %v, status %d", err, r.StatusCode)
				}
			}
		})
	}
	all.Wait()
	most := 128 // bodies of 10 MB would be 1280 in all
	if raced {
		most *= 8 // the detector remembers what was read
	}
	if n := memoryOf(t, tm.cmd.Process.Pid, "VmHWM") >> 10; n > most {
		t.Errorf("the traffic manager took %d MiB, want %d at most", n, most)
	}
	if n, bad := tm.postWSO2(t, list+"]"); n != 101 || len(bad) != 0 {
		t.Errorf("after all that, %d of 101 events were accepted, refused %v", n, bad)
	}
	tm.awaitUsed(t, f, 101)
}
