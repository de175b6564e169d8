package test

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const reloadAPI = `
openapi: 3.0.3
info: {title: pizza, version: "1"}
x-wso2-basePath: /pizza/1
x-wso2-production-endpoints: {urls: [BACKEND]}
paths:
  /menu:
    get: {responses: {"200": {description: fine}}}
`

const reloadApplications = `
applications:
  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pizza, version: "1", tier: Plan}]}
`

func plan(limit string) string {
	return "subscriptionPolicies:\n  - Plan: " + limit + "\n"
}

func newReloadProject(t *testing.T, b *backend, limit string) *project {
	t.Helper()
	return newProject(t, b.URL, files{
		"policies.yaml": plan(limit), "applications.yaml": reloadApplications, "api_definitions/pizza.yaml": reloadAPI,
	})
}

// TestReloadDropsNothing reloads a gateway, by signal and by a watched file, while
// 64 clients call it: every call is answered, and answered right.
func TestReloadDropsNothing(t *testing.T) {
	for _, test := range []struct {
		name, flag string
	}{{"SIGHUP", ""}, {"watch", "--watch"}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, "one")
			p := newReloadProject(t, b, "{count: 1000000, unitTime: 1, timeUnit: day}")
			key := p.key("shop", "PRODUCTION")
			var args []string
			if test.flag != "" {
				args = append(args, test.flag)
			}
			g := p.serve("", args...)
			clients := []*client{g.h1(t), g.h2c(t)}

			var all sync.WaitGroup
			var stopping atomic.Bool
			var calls atomic.Int64
			for i := range 64 {
				all.Go(func() {
					for c := clients[i%2]; !stopping.Load(); calls.Add(1) {
						r, err := c.do("GET", "/pizza/1/menu", "", "ApiKey", key)
						if err != nil {
							t.Error(err)
							return
						}
						if r.StatusCode != 200 || r.text != "one /menu\n" {
							t.Errorf("status %d: %s", r.StatusCode, r.text)
							return
						}
					}
				})
			}
			for _, path := range []string{"/a", "/b", "/c"} {
				p.write(files{"api_definitions/pizza.yaml": strings.Replace(reloadAPI, "paths:", "paths:\n  "+path+":\n    get: {responses: {\"200\": {description: fine}}}", 1)})
				p.build()
				if test.flag == "" {
					g.signal(syscall.SIGHUP)
				}
				until(t, "the new definition", func() bool {
					r := clients[0].get(t, "/pizza/1"+path, "ApiKey", key)
					return r.StatusCode == 200
				})
			}
			stopping.Store(true)
			all.Wait()
			if got := int64(b.hits()); got != calls.Load()+3 {
				t.Errorf("%d requests reached the backend, %d were made", got, calls.Load()+3)
			}
		})
	}
}

// TestReloadCountsExactly reloads again and again while 64 clients ask for more
// than they may have: as many pass as the limit says.
func TestReloadCountsExactly(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	const limit = 3000
	p := newReloadProject(t, b, "{count: "+itoa(limit)+", unitTime: 1, timeUnit: day}")
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	clients := []*client{g.h1(t), g.h2c(t)}
	var all sync.WaitGroup
	var passed, refused atomic.Int64
	for i := range 64 {
		all.Go(func() {
			for refused.Load() < 500 {
				r, err := clients[i%2].do("GET", "/pizza/1/menu", "", "ApiKey", key)
				switch {
				case err != nil:
					t.Error(err)
					return
				case r.StatusCode == 200:
					passed.Add(1)
				case r.StatusCode == 429:
					refused.Add(1)
				default:
					t.Errorf("status %d: %s", r.StatusCode, r.text)
					return
				}
			}
		})
	}
	for refused.Load() < 100 && !t.Failed() {
		g.reload(t)
	}
	all.Wait()
	if passed.Load() != limit || b.hits() != limit {
		t.Errorf("%d passed and %d reached the backend, want %d", passed.Load(), b.hits(), limit)
	}
}

// TestReloadLetsCallsEnd takes an API away while it is called: the call ends as it
// began, and the next one finds nothing.
func TestReloadLetsCallsEnd(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"api_definitions/pet.yaml":  openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
		"api_definitions/stay.yaml": strings.ReplaceAll(openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"), "pet", "stay"),
	})
	g := p.serve("")
	clients := []*client{g.h1(t), g.h2c(t)}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			r, err := c.do("GET", "/pet/slow", "")
			if err != nil || r.StatusCode != 200 || r.text != "one /slow\n" {
				t.Errorf("the call under way: %v, %q", err, r.text)
			}
		})
	}
	until(t, "the calls to reach the backend", func() bool { return b.held() == len(clients) })
	if err := os.Remove(p.path("api_definitions", "pet.yaml")); err != nil {
		t.Fatal(err)
	}
	p.build()
	g.reload(t)
	for _, c := range clients {
		c.get(t, "/pet/a").want(t, 404, "404")
		c.get(t, "/stay/a").want(t, 200, "")
	}
	b.release()
	all.Wait()
}

// TestReloadKeepsCounters changes a limit while it counts: what was spent stays
// spent, and the new count holds at once.
func TestReloadKeepsCounters(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newReloadProject(t, b, "{count: 10, unitTime: 1, timeUnit: day}")
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	c := g.h1(t)
	get := func() reply { return c.get(t, "/pizza/1/menu", "ApiKey", key) }
	for range 6 {
		get().want(t, 200, "")
	}
	for _, step := range []struct{ limit, left int }{{8, 1}, {5, -1}, {12, 4}} {
		p.write(files{"policies.yaml": plan("{count: " + itoa(step.limit) + ", unitTime: 1, timeUnit: day}")})
		p.build()
		g.reload(t)
		r := get()
		if r.number("X-RateLimit-Limit") != step.limit {
			t.Fatalf("X-RateLimit-Limit is %q after the limit became %d", r.Header.Get("X-RateLimit-Limit"), step.limit)
		}
		if step.left < 0 {
			r.want(t, 429, "900804")
			continue
		}
		if r.want(t, 200, ""); r.number("X-RateLimit-Remaining") != step.left {
			t.Fatalf("limit %d: X-RateLimit-Remaining is %q, want %d", step.limit, r.Header.Get("X-RateLimit-Remaining"), step.left)
		}
	}
}

// reload sends SIGHUP and returns the lines that the log has of it, once there is
// one about the artifact.
func (g *gatewayProcess) reload(t testing.TB) []string {
	t.Helper()
	mark := len(g.stderr.String())
	g.signal(syscall.SIGHUP)
	var lines []string
	until(t, "a line about the artifact", func() bool {
		lines = g.stderr.lines(mark)
		return strings.Contains(strings.Join(lines, "\n"), "artifact")
	})
	return lines
}

// TestBadArtifactChangesNothing reloads artifacts that are broken in every way:
// each leaves the gateway as it was, and one line in the log.
func TestBadArtifactChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newReloadProject(t, b, "{count: 1000, unitTime: 1, timeUnit: day}")
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	c := g.h1(t)
	good, err := os.ReadFile(p.artifact())
	if err != nil {
		t.Fatal(err)
	}
	left := 999
	check := func(t *testing.T) {
		t.Helper()
		r := c.get(t, "/pizza/1/menu", "ApiKey", key).want(t, 200, "")
		if r.number("X-RateLimit-Remaining") != left {
			t.Errorf("X-RateLimit-Remaining is %q, want %d", r.Header.Get("X-RateLimit-Remaining"), left)
		}
		left--
	}
	check(t)
	bad := map[string][]byte{
		"empty":     {},
		"one byte":  good[:1],
		"half":      good[:len(good)/2],
		"all but 1": good[:len(good)-1],
		"trailing":  append(bytes.Clone(good), 0),
		"text":      []byte("not an artifact\n"),
		"zeros":     make([]byte, len(good)),
	}
	for _, at := range []int{0, 10, len(good) / 3, len(good) / 2, len(good) - 2} {
		flipped := bytes.Clone(good)
		flipped[at] ^= 0x10
		bad["flipped at "+itoa(at)] = flipped
	}
	for what, text := range bad {
		t.Run(what, func(t *testing.T) {
			replace(t, p.artifact(), text)
			oneRefusal(t, g.reload(t))
			check(t)
		})
	}
	t.Run("missing", func(t *testing.T) {
		if err := os.Remove(p.artifact()); err != nil {
			t.Fatal(err)
		}
		oneRefusal(t, g.reload(t))
		check(t)
	})
	replace(t, p.artifact(), good)
	if lines := g.reload(t); strings.Contains(strings.Join(lines, "\n"), "refused") {
		t.Errorf("the good artifact was refused: %q", lines)
	}
	check(t)
}

// oneRefusal holds the log to one line that says that the artifact was refused.
func oneRefusal(t *testing.T, lines []string) {
	t.Helper()
	if len(lines) != 1 || !strings.Contains(lines[0], "artifact refused") || !strings.Contains(lines[0], "error=") {
		t.Errorf("the log has %q", lines)
	}
}

// TestBadProjectIsNotBuilt builds projects that are wrong: each has exit code 1,
// says where in one line, soon, and leaves the artifact that was there.
func TestBadProjectIsNotBuilt(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newReloadProject(t, b, "{count: 10, unitTime: 1, timeUnit: day}")
	p.build()
	good, err := os.ReadFile(p.artifact())
	if err != nil {
		t.Fatal(err)
	}
	const pizza, apps = "api_definitions/pizza.yaml", "applications.yaml"
	fine := "{description: fine}"
	bomb := "x-bomb:\n  - &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += "  - &a" + itoa(i+1) + " [" + strings.Repeat("*a"+itoa(i)+", ", 10) + "]\n"
	}
	for _, test := range []struct{ what, file, text, want string }{
		{"negative count", "policies.yaml", plan("{count: -1, unitTime: 1, timeUnit: day}"), "policies.yaml:2"},
		{"unknown unit", "policies.yaml", plan("{count: 1, unitTime: 1, timeUnit: fortnight}"), "policies.yaml:2"},
		{"unknown key", "policies.yaml", plan("{count: 1, unitTime: 1, timeUnit: day, colour: red}"), "policies.yaml:2"},
		{"no such tier", "applications.yaml", strings.Replace(reloadApplications, "Plan", "Platinum", 1), "Platinum"},
		{"no hash of a key", apps, strings.Replace(reloadApplications, "owner: ann,", "owner: ann, keys: [{type: PRODUCTION, hash: 'weir_x'}],", 1), "applications.yaml:3"},
		{"not YAML", apps, "applications: [", "applications.yaml:"},
		{"not OpenAPI", pizza, "hello: world\n", "pizza.yaml"},
		{"a file outside", pizza, strings.Replace(reloadAPI, fine, "{$ref: 'file:///etc/passwd'}", 1), "pizza.yaml:8"},
		{"a path outside", pizza, strings.Replace(reloadAPI, fine, "{$ref: '../../../../etc/passwd'}", 1), "pizza.yaml:8"},
		{"a URL outside", pizza, strings.Replace(reloadAPI, fine, "{$ref: '"+b.URL+"/x.yaml#/a'}", 1), "pizza.yaml:8"},
		{"a bomb of aliases", pizza, reloadAPI + bomb, "pizza.yaml:"},
		{"10 000 nested lists", pizza, reloadAPI + "x-a: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "\n", "pizza.yaml:9"},
		{"10 000 nested mappings", pizza, reloadAPI + "x-a: " + strings.Repeat("{a: ", 10_000) + "b" + strings.Repeat("}", 10_000) + "\n", "pizza.yaml:9"},
		{"a gigantic file", pizza, reloadAPI + "x-a: " + strings.Repeat("a", 20<<20) + "\n", "pizza.yaml"},
	} {
		t.Run(test.what, func(t *testing.T) {
			all := files{"policies.yaml": plan("{count: 10, unitTime: 1, timeUnit: day}"), "applications.yaml": reloadApplications, "api_definitions/pizza.yaml": reloadAPI}
			all[test.file] = test.text
			p.write(all)
			for _, command := range []string{"build", "validate"} {
				began := time.Now()
				r := weir(t, p.home, command, name)
				if text := r.stderr + r.stdout; r.code != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, test.want) {
					t.Errorf("weir %s: exit code %d, want one line with %q:\n%s%s", command, r.code, test.want, r.stdout, r.stderr)
				}
				if d := time.Since(began); d > 5*time.Second {
					t.Errorf("weir %s took %s", command, d)
				}
			}
			if now, err := os.ReadFile(p.artifact()); err != nil || !bytes.Equal(now, good) {
				t.Errorf("the artifact has changed: %v", err)
			}
			if b.hits() != 0 {
				t.Error("a URL was asked for what it names")
			}
		})
	}
}
