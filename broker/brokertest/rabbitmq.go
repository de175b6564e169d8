//go:build unix

package brokertest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/test/realserver"
)

// A RabbitMQ is a RabbitMQ node of its own. It has the virtual hosts / and carbon,
// and in both of them the users Manager and Gateway.
type RabbitMQ struct {
	Address string // in plain text
	Secure  string // over TLS
	// Certificate is that of the node.
	Certificate realserver.Certificate

	dir, port, epmdPort, distPort string
	program                       string
	process, epmd                 *realserver.Process
}

// StartRabbitMQ starts a node that ends with the test, which takes 4 to 20 s: start
// one for many tests. Where there is no RabbitMQ, it skips the test.
func StartRabbitMQ(t testing.TB) *RabbitMQ {
	t.Helper()
	r := &RabbitMQ{dir: t.TempDir(), port: realserver.FreePort(t), epmdPort: realserver.FreePort(t), distPort: realserver.FreePort(t)}
	r.Address, r.Secure = "127.0.0.1:"+r.port, "127.0.0.1:"+realserver.FreePort(t)
	r.Certificate = realserver.NewCertificate(t)
	// The one in the path may be Debian's, which runs as a user of its own.
	for _, name := range []string{"/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server", "/usr/sbin/rabbitmq-server"} {
		if path, err := exec.LookPath(name); err == nil {
			r.program = path
			break
		}
	}
	epmd, err := exec.LookPath("epmd")
	if r.program == "" || err != nil {
		t.Skip("NOT TESTED: there is no rabbitmq-server here (apt-get install rabbitmq-server)")
	}
	// Nodes find each other by epmd, which they would start and leave behind.
	r.epmd = realserver.Start(t, "", os.Environ(), epmd, "-port", r.epmdPort, "-address", "127.0.0.1")
	t.Cleanup(r.epmd.Kill)
	r.configure(t)
	r.Start(t)
	t.Cleanup(func() { r.process.Kill() })
	return r
}

// configure writes what the node reads when it starts.
func (r *RabbitMQ) configure(t testing.TB) {
	t.Helper()
	all := func(user string, configure, write, read string) (permissions []map[string]string) {
		for _, vhost := range []string{"/", "carbon"} {
			permissions = append(permissions, map[string]string{"user": user, "vhost": vhost, "configure": configure, "write": write, "read": read})
		}
		return permissions
	}
	// Gateways may make queues with names that the node chooses, and bind them to
	// the exchange of the topics; they may not write to it.
	const own = `^amq\.gen.*`
	definitions, err := json.Marshal(map[string]any{
		"vhosts": []map[string]string{{"name": "/"}, {"name": "carbon"}},
		"users": []map[string]string{
			{"name": Manager.User, "password": Manager.Password, "tags": ""},
			{"name": Gateway.User, "password": Gateway.Password, "tags": ""},
		},
		"permissions": append(all(Manager.User, ".*", ".*", ".*"), all(Gateway.User, own, own, own+`|^amq\.topic$`)...),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"definitions.json": string(definitions),
		"enabled_plugins":  "[].\n",
		"environment.conf": "",
		"cert.pem":         string(r.Certificate.Cert),
		"key.pem":          string(r.Certificate.Key),
		"rabbitmq.conf": "listeners.tcp.1 = " + r.Address + "\n" +
			"listeners.ssl.1 = " + r.Secure + "\n" +
			"ssl_options.certfile = " + filepath.Join(r.dir, "cert.pem") + "\n" +
			"ssl_options.keyfile = " + filepath.Join(r.dir, "key.pem") + "\n" +
			"load_definitions = " + filepath.Join(r.dir, "definitions.json") + "\n" +
			"disk_free_limit.absolute = 1MB\n",
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// URL returns the URL for a user and a virtual host.
func (r *RabbitMQ) URL(l nats.Login, vhost string) broker.URL {
	return broker.URL{Scheme: broker.AMQP, User: l.User, Password: l.Password, VHost: vhost, Brokers: []broker.Broker{{Address: r.Address}}}
}

// Start starts the node again, empty.
func (r *RabbitMQ) Start(t testing.TB) {
	t.Helper()
	data := filepath.Join(r.dir, "data")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	// It writes dumps into the folder that it is in.
	r.process = realserver.Start(t, r.dir, append(r.environment(),
		"RABBITMQ_MNESIA_BASE="+data,
		"RABBITMQ_LOG_BASE="+filepath.Join(r.dir, "log"),
		"RABBITMQ_LOGS=-",
		"detached=yes", // the script becomes the node, and waits for nobody
		"RABBITMQ_CONFIG_FILE="+filepath.Join(r.dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(r.dir, "enabled_plugins"),
		"RABBITMQ_PID_FILE="+filepath.Join(r.dir, "pid"),
		"RABBITMQ_DIST_PORT="+r.distPort,
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
	), r.program)
	realserver.Until(t, time.Minute, "RabbitMQ takes connections", func() bool {
		if r.process.Ended() {
			t.Fatalf("RabbitMQ has ended:\n%s", r.process.Output())
		}
		return answers(r.Address, "AMQP\x00\x00\x09\x01", 1) // the frame of a method
	})
}

// environment is what the node and who controls it have in common.
func (r *RabbitMQ) environment() []string {
	return append(os.Environ(),
		"HOME="+r.dir, // with a cookie of its own
		"RABBITMQ_NODENAME=weir"+r.port+"@localhost",
		"ERL_EPMD_PORT="+r.epmdPort,
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(r.dir, "environment.conf"),
	)
}

// Control runs rabbitmqctl, which takes a second or two.
func (r *RabbitMQ) Control(t testing.TB, args ...string) {
	t.Helper()
	p := realserver.Start(t, "", r.environment(), filepath.Join(filepath.Dir(r.program), "rabbitmqctl"), args...)
	defer p.Kill()
	realserver.Until(t, patience, "rabbitmqctl has ended", p.Ended)
	if code := p.ExitCode(); code != 0 {
		t.Fatalf("rabbitmqctl %q: exit code %d:\n%s", args, code, p.Output())
	}
}

// Kill ends the node without warning.
func (r *RabbitMQ) Kill(testing.TB) { r.process.Kill() }

// Hang stops the node's processes.
func (r *RabbitMQ) Hang(testing.TB) { r.process.Signal(syscall.SIGSTOP) }

// Resume lets them go on.
func (r *RabbitMQ) Resume(testing.TB) { r.process.Signal(syscall.SIGCONT) }

// Disturber returns what disturbs r, for transports whose heartbeat is every
// second.
func (r *RabbitMQ) Disturber() Disturber {
	return Disturber{Kill: r.Kill, Start: r.Start, Hang: r.Hang, Resume: r.Resume, Notice: 5 * time.Second}
}
