package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startRabbitMQ starts a RabbitMQ that nobody else uses, with an epmd of its own:
// the one that it would start by itself would stay when it ends.
func (c *Cluster) startRabbitMQ(ctx context.Context) error {
	program, epmd, err := findRabbitMQ()
	if err != nil {
		return err
	}
	ports, err := c.ports.free(3)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.dir, "rabbitmq")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	if err := c.configureRabbitMQ(dir, address); err != nil {
		return err
	}
	if _, err := c.run("epmd", nil, epmd, "-port", fmt.Sprint(ports[1]), "-address", "127.0.0.1"); err != nil {
		return err
	}
	c.Broker, err = c.run("rabbitmq", []string{
		"HOME=" + dir,
		"ERL_EPMD_PORT=" + fmt.Sprint(ports[1]),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=weircluster" + fmt.Sprint(ports[0]) + "@localhost",
		"RABBITMQ_DIST_PORT=" + fmt.Sprint(ports[2]),
		"RABBITMQ_CONF_ENV_FILE=" + filepath.Join(dir, "environment.conf"),
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "plugins"),
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_PID_FILE=" + filepath.Join(dir, "pid"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
		"detached=yes", // the script becomes the server, so that its id is the one we have
	}, program)
	if err != nil {
		return err
	}
	c.brokers = []string{fmt.Sprintf("amqp://%s:%s@%s/", user, c.secret, address)}
	return c.until(ctx, "RabbitMQ answers", func(context.Context) error { return speaksAMQP(address) })
}

// findRabbitMQ returns the programs of RabbitMQ.
func findRabbitMQ() (server, epmd string, err error) {
	// What is in the path may be Debian's, which runs as a user of its own.
	for _, name := range []string{"/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server", "/usr/sbin/rabbitmq-server"} {
		if server, err = exec.LookPath(name); err == nil {
			break
		}
	}
	epmd, missing := exec.LookPath("epmd")
	if err != nil || missing != nil {
		return "", "", errors.New("there is no rabbitmq-server here: apt-get install rabbitmq-server")
	}
	return server, epmd, nil
}

// configureRabbitMQ writes what the server reads when it starts.
func (c *Cluster) configureRabbitMQ(dir, address string) error {
	definitions, err := json.Marshal(map[string]any{
		"vhosts":      []map[string]string{{"name": "/"}},
		"users":       []map[string]string{{"name": user, "password": c.secret, "tags": ""}},
		"permissions": []map[string]string{{"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}},
	})
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"definitions.json": string(definitions),
		"plugins":          "[].\n",
		"environment.conf": "",
		"rabbitmq.conf": "listeners.tcp.1 = " + address + "\n" +
			"load_definitions = " + filepath.Join(dir, "definitions.json") + "\n" +
			"disk_free_limit.absolute = 1MB\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// speaksAMQP returns nil if a server begins to talk AMQP 0-9-1, else why not.
func speaksAMQP(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return err
	}
	var first [1]byte
	if _, err := c.Read(first[:]); err != nil {
		return err
	}
	if first[0] != 1 { // a frame that begins a method
		return fmt.Errorf("%s does not speak AMQP", address)
	}
	return nil
}
