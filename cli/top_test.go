package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// newManager returns a traffic manager that shows what it is told to show: the
// answers of package ingest, in its form.
func newManager(t *testing.T, secure bool, stats, top string) *httptest.Server {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "admin" || password != "admin" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/internal/data/v1/stats":
			fmt.Fprint(w, stats)
		case "/internal/data/v1/top":
			fmt.Fprint(w, top)
		default:
			http.NotFound(w, r)
		}
	})
	s := httptest.NewUnstartedServer(h)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

const (
	someStats = `{"manager":"00000000000000aa","issuer":"tm-1","now":1000000,"ready":true,
 "events":{"counted":1200,"late":3,"past":1,"refused":2,"uncounted":0},
 "batches":{"counted":40,"asked":1,"calls":9,"repeated":0,"needless":0},
 "decisions":5,"released":1,"inForce":1,"keys":48,"somethingNew":{"a":[1]},
 "nodes":[
  {"name":"gw-2","incarnation":"0000000000000002","known":false,"batches":0,"events":0,"lag":0,"skew":0.2,"heard":940000,"refused":{},"refusedPerSecond":0},
  {"name":"gw-1","incarnation":"0000000000000001","known":true,"batches":40,"events":1200,"lag":12.5,"skew":-301.5,"heard":999900,
   "refused":{"application":340,"deny":2},"refusedPerSecond":33.25}]}`
	someKeys = `{"now":1000000,"keys":[
 {"throttleKey":"alice:/shop:1.0.0\u001b[2J","key":"00000000000000f1","level":"application","policy":"Gold","group":-1,"limit":1000,"unit":"requests","window":"1m","used":1000,"share":1,"ends":1029000,"throttled":true,"refused":340,"refusedPerSecond":31.04},
 {"throttleKey":"192.0.2.1","key":"0000000000000000","level":"deny","policy":"d1","group":-1,"local":true,"refused":2,"refusedPerSecond":0.5},
 {"throttleKey":"5:/shop:1.0.0:Gold","key":"00000000000000f3","level":"subscription-burst","policy":"Gold","group":-1,"local":true,"refused":7,"refusedPerSecond":0},
 {"throttleKey":"/shop:1.0.0:v1","key":"00000000000000f2","level":"api","policy":"Wide","group":1,"limit":5000,"unit":"bytes","window":"1h","shadow":true,"used":250,"share":0.05,"ends":1929000,"throttled":false}]}`
)

func TestTopOnce(t *testing.T) {
	s := newManager(t, true, someStats, someKeys)
	code, out, errs := call(t, "top", "--url", s.URL)
	if code != 0 || errs != "" {
		t.Fatalf("got %d, %s", code, errs)
	}
	for _, want := range []string{
		"   refused a second: 33.2   keys: 48, throttled: 1   gateways: 2   traffic managers: 1 of 1\n",
		"TRAFFIC MANAGER          STATE  EVENTS  A SECOND  LATE  WRONG  BATCHES  DECISIONS  KEYS  THROTTLED\n",
		"  ready    1200         –     4      2       40          5    48          1\n",
		"GATEWAY  STATE      EVENTS  A SECOND      LAG  REFUSED  REFUSED/S         CLOCK  SILENT FOR  RUN\n",
		"gw-1     counted      1200         –  12.5 ms      342       33.2  302 ms ahead      100 ms  0000000000000001\n",
		"gw-2     restating       0         –  0.00 ms        0        0.0         right        1m0s  0000000000000002\n",
		`alice:/shop:1.0.0\x1b[2J  application         Gold          1000   1000  1m            100.0      340       31.0  for 29.0 s` + "\n" +
			"192.0.2.1                 deny                d1               –      –                    –        2        0.5  denied\n" +
			"/shop:1.0.0:v1            api                 Wide group 2   250   5000  bytes per 1h    5.0        0        0.0  never: shadow\n" +
			"5:/shop:1.0.0:Gold        subscription-burst  Gold             –      –                    –        7        0.0  by each gateway\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("what others wrote steers the terminal")
	}
}

func TestTopJSON(t *testing.T) {
	a, b := newManager(t, true, someStats, someKeys), newManager(t, false,
		strings.ReplaceAll(strings.ReplaceAll(someStats, `"lag":12.5`, `"lag":90`), "tm-1", "tm-2"),
		strings.NewReplacer(`"used":250`, `"used":300`, `"refused":2,`, `"refused":5,`).Replace(someKeys))
	code, out, errs := call(t, "top", "--url", a.URL+"/", "--url", b.URL, "--url", "http://127.0.0.1:1", "-u", "admin:admin", "-o", "json")
	if code != 0 {
		t.Fatalf("got %d, %s", code, errs)
	}
	var v topView
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Managers) != 3 || v.Managers[0].Issuer != "tm-1" || v.Managers[1].Late != 4 || !strings.Contains(v.Managers[2].Error, "refused") {
		t.Errorf("managers %+v", v.Managers)
	}
	if len(v.Gateways) != 2 || v.Gateways[0].Name != "gw-1" || v.Gateways[0].Lag != 90 || v.Gateways[0].Events != 1200 {
		t.Errorf("gateways %+v, want two, with what the manager knows who knows more", v.Gateways)
	}
	if g := &v.Gateways[0]; g.Refused != 342 || g.Levels["deny"] != 2 || g.RefusedRate != 33.25 {
		t.Errorf("gateway %+v, want what it told each manager, once", g)
	}
	if len(v.Keys) != 4 || v.Keys[0].Left != 29000 || !v.Keys[0].Throttled || v.Keys[0].Refused != 340 || v.Keys[0].RefusedRate != 31.04 {
		t.Fatalf("keys %+v", v.Keys)
	}
	if k := &v.Keys[1]; !k.Local || k.Level != "deny" || k.Refused != 5 || k.RefusedRate != 0.5 {
		t.Errorf("denied: %+v", k)
	}
	if k := &v.Keys[2]; k.Used != 300 || *k.Group != 1 || k.Refused != 0 {
		t.Errorf("a shadow: %+v", k)
	}
}

func TestTopFails(t *testing.T) {
	fine := newManager(t, true, someStats, someKeys)
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	redirects := httptest.NewServer(http.RedirectHandler("https://192.0.2.1/", http.StatusFound))
	defer redirects.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("admin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--url", fine.URL, "--user", "admin:wrong"}, 1, "it takes no user admin with this password"},
		{[]string{"--url", fine.URL, "--user", "admin", "--password-file", password}, 0, ""},
		{[]string{"--url", fine.URL, "--user", "admin"}, 2, "add its password"},
		{[]string{"--url", fine.URL, "--user", "a:b", "--password-file", password}, 2, "another in --password-file"},
		{[]string{"--url", fine.URL, "--user", ":b"}, 2, "no name"},
		{[]string{"--url", fine.URL, "--user", "a", "--password-file", password + "x"}, 1, "password file"},
		{[]string{"--url", fine.URL, "--cacert", password}, 1, "no certificate in PEM"},
		{[]string{"--url", gateway.URL}, 1, "it is no traffic manager"},
		{[]string{"--url", redirects.URL}, 1, "it redirects"},
		{[]string{"--url", newManager(t, false, "<html>", "").URL}, 1, "its answer: invalid character"},
		{[]string{"--url", "http://127.0.0.1:1"}, 1, "connection refused"},
		{[]string{"--url", "https://192.0.2.1:9443"}, 2, "--user is missing: 192.0.2.1 is another machine"},
		{[]string{"--url", "http://192.0.2.1:9763", "--user", "a:b"}, 2, "a password needs https"},
		{[]string{"--url", "localhost:9443"}, 2, "write it as https://localhost:9443"},
		{[]string{"--url", "https://a:b@localhost:9443"}, 2, "write it as"},
		{[]string{"--keys", "0"}, 2, "--keys 0"},
		{[]string{"--interval", "1ms"}, 2, "--interval 1ms"},
		{[]string{"now"}, 2, `"now" is one argument too many`},
	} {
		code, _, errs := call(t, append([]string{"top", "--once"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: got %d %s, want %d %q", tt.args, code, errs, tt.code, tt.want)
		}
	}
}

// However narrow a terminal is, no line is wider, and none steers it.
func TestTopFitsTerminals(t *testing.T) {
	hostile := strings.ReplaceAll(someKeys, "alice", strings.Repeat(`東京\u202e\r\n`, 40))
	s := newManager(t, true, someStats, hostile)
	w := &topWatch{managers: []*topNode{newTestManager(t, s)}, keys: 100}
	v := w.look(t.Context())
	if err := v.fault(); err != nil {
		t.Fatal(err)
	}
	for columns := 1; columns < 250; columns++ {
		lines := v.draw(columns, 9)
		if len(lines) > 9 {
			t.Fatalf("%d lines on 9 rows", len(lines))
		}
		for _, line := range v.draw(columns, 0) {
			if n := columnsOfText(line); n > columns || strings.ContainsAny(line, "\x1b\r\n\u202e") {
				t.Fatalf("%d columns: %q takes %d", columns, line, n)
			}
		}
	}
	if lines := v.draw(80, 24); !strings.Contains(strings.Join(lines, "\n"), "for 29.0 s") {
		t.Errorf("80 columns do not show until when a key is throttled:\n%s", strings.Join(lines, "\n"))
	}
}

func newTestManager(t *testing.T, s *httptest.Server) *topNode {
	t.Helper()
	config, err := clientTLS(true, "")
	if err != nil {
		t.Fatal(err)
	}
	m := newTopNode(s.URL, config)
	m.name, m.password = "admin", "admin"
	t.Cleanup(m.client.CloseIdleConnections)
	return m
}

func TestTopRates(t *testing.T) {
	was := &topView{
		Time:     time.Unix(100, 0),
		Managers: []topMaster{{URL: "a", Issuer: "x", Events: 1000}, {URL: "b", Issuer: "y", Events: 10}, {URL: "c", Error: "gone"}},
		Gateways: []topGateway{{Incarnation: "1", Events: 500}},
	}
	now := &topView{
		Time:     time.Unix(102, 0),
		Managers: []topMaster{{URL: "a", Issuer: "x", Events: 1500}, {URL: "b", Issuer: "z", Events: 20}, {URL: "c", Events: 5}},
		Gateways: []topGateway{{Incarnation: "1", Events: 750}, {Incarnation: "2", Events: 9}},
	}
	now.since(was)
	if r := now.Managers[0].rate; r == nil || *r != 250 {
		t.Errorf("got %v, want 250 a second", r)
	}
	if now.Managers[1].rate != nil || now.Managers[2].rate != nil || now.Gateways[1].rate != nil {
		t.Error("a rate of what was not there before")
	}
	if r := now.Gateways[0].rate; r == nil || *r != 125 {
		t.Errorf("got %v, want 125 a second", r)
	}
}

// The number of the requests that a manager gets is small and each answer bounded.
func TestTopLongAnswer(t *testing.T) {
	var sent atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b := []byte(strings.Repeat(" ", 1<<20))
		for {
			n, err := w.Write(b)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	defer s.Close()
	v := (&topWatch{managers: []*topNode{newTestManager(t, s)}, keys: 1}).look(t.Context())
	if v.fault() == nil || sent.Load() > 4*maxAnswer {
		t.Errorf("got %v after %d bytes", v.fault(), sent.Load())
	}
}
