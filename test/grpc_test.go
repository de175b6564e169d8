package test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestGRPC calls a gRPC service through the gateway, in the clear and over TLS:
// unary and streaming, with its own errors and the gateway's.
func TestGRPC(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, state := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, state)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	state.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_SERVING)

	p := newProject(t, "http://"+l.Addr().String(), files{
		"policies.yaml":     "subscriptionPolicies:\n  - Six: {count: 6, unitTime: 1, timeUnit: day}\n",
		"applications.yaml": "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: health, version: v1, tier: Six}]}\n",
		"api_definitions/health.yaml": `
openapi: 3.0.3
info: {title: health, version: v1}
x-wso2-basePath: /grpc.health.v1.Health
x-wso2-production-endpoints: {urls: [BACKEND/grpc.health.v1.Health]}
paths:
  /Check: {post: {responses: {"200": {description: fine}}}}
  /Watch: {post: {responses: {"200": {description: fine}}}}
`,
	})
	key := p.key("shop", "PRODUCTION")
	cert := newCertificate(t, t.TempDir(), 1)
	g := p.serve(cert.conf())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	withKey := metadata.AppendToOutgoingContext(ctx, "apikey", key)
	for _, way := range []struct {
		addr  string
		creds credentials.TransportCredentials
	}{{g.addr, insecure.NewCredentials()}, {g.secure, credentials.NewClientTLSFromCert(cert.roots, "localhost")}} {
		conn, err := grpc.NewClient(way.addr, grpc.WithTransportCredentials(way.creds))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := grpc_health_v1.NewHealthClient(conn)
		_, err = c.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "shop"})
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("without a key: %v", err)
		}
		r, err := c.Check(withKey, &grpc_health_v1.HealthCheckRequest{Service: "shop"})
		if err != nil || r.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Fatalf("got %v, %v", r, err)
		}
		if _, err := c.Check(withKey, &grpc_health_v1.HealthCheckRequest{Service: "else"}); status.Code(err) != codes.NotFound {
			t.Errorf("an unknown service: %v", err)
		}
		watchHealth(withKey, t, c, state)
		if _, err := c.List(withKey, &grpc_health_v1.HealthListRequest{}); status.Code(err) != codes.Unimplemented {
			t.Errorf("a method that is not declared: %v", err)
		}
	}
	conn, err := grpc.NewClient(g.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(withKey, &grpc_health_v1.HealthCheckRequest{Service: "shop"})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the seventh call: %v", err)
	}
}

// watchHealth sees a change on a stream that is open.
func watchHealth(ctx context.Context, t *testing.T, c grpc_health_v1.HealthClient, state *health.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := c.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	const up, down = grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING
	for _, step := range []struct {
		is, next grpc_health_v1.HealthCheckResponse_ServingStatus
	}{{up, down}, {down, up}, {up, up}} {
		r, err := stream.Recv()
		if err != nil || r.Status != step.is {
			t.Fatalf("got %v, %v, want %v", r, err, step.is)
		}
		state.SetServingStatus("shop", step.next)
	}
}
