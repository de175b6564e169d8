package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startNginx starts nginx as a proxy before a backend, or skips the test.
func startNginx(t *testing.T, to string) string {
	port, dir := freePort(t), t.TempDir()
	conf := fmt.Sprintf(`
daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; keepalive_timeout 60; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  upstream recorder { server %[3]s; keepalive 16; }
  server { listen 127.0.0.1:%[2]d; location / { proxy_pass http://recorder; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`, dir, port, strings.TrimPrefix(to, "http://"))
	return startServer(t, "nginx", conf, dir, port, "-p", dir, "-e", "stderr", "-c")
}

// startHAProxy starts HAProxy as a proxy before a backend, or skips the test.
func startHAProxy(t *testing.T, to string) string {
	port, dir := freePort(t), t.TempDir()
	conf := fmt.Sprintf(`
global
  maxconn 1024
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend in
  bind 127.0.0.1:%d
  default_backend recorder
backend recorder
  server one %s
`, port, strings.TrimPrefix(to, "http://"))
	return startServer(t, "haproxy", conf, dir, port, "-db", "-f")
}

// startNode starts a proxy in Node.js before a backend, with its lenient parser, or
// skips the test.
func startNode(t *testing.T, to string) string {
	port, dir := freePort(t), t.TempDir()
	script := fmt.Sprintf(`
const http = require("http"), to = new URL(%q), agent = new http.Agent({keepAlive: true});
http.createServer({insecureHTTPParser: true}, (q, s) => {
  const out = http.request({host: to.hostname, port: to.port, method: q.method, path: q.url, headers: q.headers, agent}, (a) => {
    s.writeHead(a.statusCode, a.headers);
    a.pipe(s);
  });
  out.on("error", () => s.destroy());
  q.on("error", () => out.destroy());
  q.pipe(out);
}).listen(%d, "127.0.0.1");
`, to, port)
	return startServer(t, "node", script, dir, port)
}

// startServer starts a server with a configuration file, whose name is the last
// of its arguments.
func startServer(t *testing.T, program, conf, dir string, port int, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = filepath.Join("/usr/sbin", program)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%s is not installed: apt-get install %s", program, strings.Replace(program, "node", "nodejs", 1))
		}
	}
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	var out output
	cmd := exec.Command(path, append(args, file)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // all that it does is of no more use
		_ = cmd.Wait()
	})
	until(t, program+" to listen", func() bool {
		conn, err := net.DialTimeout("tcp", local(port), time.Second)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return "http://" + local(port)
}
